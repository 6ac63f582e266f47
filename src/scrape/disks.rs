//! Which block devices and file systems can hurt a recording.

use super::reader::{Samples, counter, gauge};
use crate::exposition::Sample;
use crate::schedule::reading::ProbeFailure;

/// Devices that are memory, images or removable: what the name starts with.
const NOT_DISKS: &[&str] = &["loop", "ram", "zram", "sr", "fd"];

/// Devices stacked on other devices: the same I/O shows below as well.
const STACKED: &[&str] = &["dm-", "md"];

/// File systems that are no disk, or are full by nature because nobody can write to them.
const NOT_FILE_SYSTEMS: &[&str] = &[
    "",
    "tmpfs",
    "devtmpfs",
    "ramfs",
    "rootfs",
    "overlay",
    "overlayfs",
    "aufs",
    "squashfs",
    "erofs",
    "cramfs",
    "iso9660",
    "udf",
    "autofs",
    "proc",
    "sysfs",
    "nsfs",
    "debugfs",
    "tracefs",
    "efivarfs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
    "fuse.portal",
    "fuse.snapfuse",
];

/// Mounts that no recording goes to.
const NOT_MOUNTS: &[&str] = &["/boot", "/efi", "/snap", "/run", "/dev", "/proc", "/sys"];

/// Whether a block device counts.
pub(super) fn is_device(device: &str) -> bool {
    !device.is_empty() && !NOT_DISKS.iter().any(|start| device.starts_with(start))
}

/// Whether a file system counts.
pub(super) fn is_file_system(fstype: &str, mountpoint: &str) -> bool {
    let below =
        |mount: &str| mountpoint.strip_prefix(mount).is_some_and(|s| s.is_empty() || s.starts_with('/'));
    !NOT_FILE_SYSTEMS.contains(&fstype) && !NOT_MOUNTS.iter().any(|mount| below(mount))
}

/// Seconds of I/O of each device, stacked ones only where nothing shows below them.
pub(super) fn io_seconds(samples: Samples<'_>) -> Result<Vec<(Box<str>, f64)>, ProbeFailure> {
    let stacked = |sample: &Sample<'_>| {
        let device = sample.labels.get("device").unwrap_or_default();
        STACKED.iter().any(|start| device.starts_with(start))
    };
    let all = || samples.of("node_disk_io_time_seconds_total");
    let only_stacked = all().all(stacked);
    all()
        .filter(|sample| only_stacked || !stacked(sample))
        .map(|sample| Ok((sample.labels.get("device").unwrap_or_default().into(), counter(sample)?)))
        .collect()
}

/// The fullest file system, its share in use as `df` tells it: used ÷ (used + available). Blocks reserved for root
/// are not available, so a recorder may find no room while some is "free".
pub(super) fn fullest(samples: Samples<'_>) -> Result<Option<(Box<str>, f64)>, ProbeFailure> {
    let of_mount = |name, mount: &Sample<'_>| {
        let same = samples.of(name).find(|sample| sample.labels == mount.labels);
        same.map(gauge).transpose()
    };
    let mut fullest: Option<(&str, f64)> = None;
    for sample in samples.of("node_filesystem_size_bytes") {
        let size = gauge(sample)?;
        let Some(available) = of_mount("node_filesystem_avail_bytes", sample)? else { continue };
        let free = of_mount("node_filesystem_free_bytes", sample)?.unwrap_or(available);
        let (used, available) = ((size - free).max(0.0), available.max(0.0));
        if used + available <= 0.0 {
            continue;
        }
        let share = used / (used + available);
        if fullest.is_none_or(|(_, most)| share > most) {
            fullest = Some((sample.labels.get("mountpoint").unwrap_or_default(), share));
        }
    }
    Ok(fullest.map(|(mount, share)| (mount.into(), share)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_images_and_boot_partitions_do_not_count() {
        assert!(is_device("sda") && is_device("nvme0n1") && is_device("vda") && is_device("dm-0"));
        assert!(!is_device("loop3") && !is_device("ram0") && !is_device("zram0") && !is_device("sr0"));
        assert!(
            is_file_system("ext4", "/")
                && is_file_system("xfs", "/data")
                && is_file_system("zfs", "/bootleg")
        );
        assert!(!is_file_system("tmpfs", "/tmp") && !is_file_system("overlay", "/var/lib/docker/x"));
        assert!(!is_file_system("squashfs", "/snap/core/1") && !is_file_system("vfat", "/boot/efi"));
    }
}
