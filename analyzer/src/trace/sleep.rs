//! What a sleeping fault waits for, from the functions of the kernel on its stack.

/// What a sleeping fault waits for, by the functions of the kernel that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sleep {
    /// handle_userfault.
    Userfault,
    /// The end of a write to the device.
    Writeback,
    /// The allocator frees memory first.
    Reclaim,
    /// A page of swap.
    Swap,
    /// A page of a file: its lock, which is held while it is read, or the reading itself.
    Page,
    /// Anything else of a file system.
    Fs,
    /// mmap_lock, or that of a mapping.
    Lock,
    /// Functions that say nothing.
    Other,
}

/// Functions that name what is waited for, by the beginnings of their names. Of a stack the innermost one that is known
/// counts; reclaim is asked for first, since it writes, locks and reads on behalf of whoever needs memory.
const SLEEPS: [(&str, Sleep); 40] = [
    ("handle_userfault", Sleep::Userfault),
    ("folio_wait_writeback", Sleep::Writeback),
    ("folio_wait_stable", Sleep::Writeback),
    ("wait_on_page_writeback", Sleep::Writeback),
    ("wait_for_stable_page", Sleep::Writeback),
    ("do_swap_page", Sleep::Swap),
    ("shmem_swapin", Sleep::Swap),
    ("swapin_readahead", Sleep::Swap),
    ("swap_read", Sleep::Swap),
    ("swap_cluster_readahead", Sleep::Swap),
    ("filemap_read_folio", Sleep::Page),
    ("filemap_update_page", Sleep::Page),
    ("filemap_fault", Sleep::Page),
    ("filemap_map_pages", Sleep::Page),
    ("page_cache_ra_unbounded", Sleep::Page),
    ("page_cache_ra_order", Sleep::Page),
    ("page_cache_sync_ra", Sleep::Page),
    ("page_cache_async_ra", Sleep::Page),
    ("page_cache_sync_readahead", Sleep::Page),
    ("page_cache_async_readahead", Sleep::Page),
    ("ondemand_readahead", Sleep::Page),
    ("do_sync_mmap_readahead", Sleep::Page),
    ("read_pages", Sleep::Page),
    ("lock_mm_and_find_vma", Sleep::Lock),
    ("lock_vma_under_rcu", Sleep::Lock),
    ("vma_start_read", Sleep::Lock),
    ("mmap_read_lock", Sleep::Lock),
    ("mmap_write_lock", Sleep::Lock),
    ("filemap_invalidate_lock", Sleep::Fs),
    ("file_update_time", Sleep::Fs),
    ("do_page_mkwrite", Sleep::Fs),
    ("ext4_", Sleep::Fs),
    ("jbd2_", Sleep::Fs),
    ("xfs_", Sleep::Fs),
    ("btrfs_", Sleep::Fs),
    ("fuse_", Sleep::Fs),
    ("request_wait_answer", Sleep::Fs),
    ("nfs_", Sleep::Fs),
    ("ovl_", Sleep::Fs),
    ("f2fs_", Sleep::Fs),
];

/// Functions of direct reclaim.
const RECLAIM: [&str; 6] = [
    "try_to_free_pages",
    "try_to_free_mem_cgroup_pages",
    "shrink_node",
    "shrink_lruvec",
    "mem_cgroup_handle_over_high",
    "__alloc_pages_direct_reclaim",
];

impl Sleep {
    /// From the names of the functions, the innermost first.
    #[must_use]
    pub fn of<'a>(functions: impl Iterator<Item = &'a str> + Clone) -> Self {
        let is_reclaim = |function: &str| RECLAIM.iter().any(|name| function.starts_with(name));
        if functions.clone().any(is_reclaim) {
            return Self::Reclaim;
        }
        let known = |function: &str| {
            let known = SLEEPS.iter().find(|(name, _)| function.starts_with(name));
            known.map(|&(_, sleep)| sleep)
        };
        let Some(innermost) = functions.clone().find_map(known) else {
            // Before the page is looked for there is no other lock of that kind.
            let has = |name: &str| functions.clone().any(|function| function.starts_with(name));
            let is_outside = has("rwsem_down_") && !has("handle_mm_fault") && !has("__handle_mm_fault");
            return if is_outside { Self::Lock } else { Self::Other };
        };
        // A file system that reads a page does so for it; one that is asked to write or to lock is waited for itself.
        let reads = || {
            functions
                .clone()
                .filter_map(known)
                .any(|sleep| sleep == Self::Page)
        };
        match innermost {
            Self::Fs if reads() => Self::Page,
            innermost => innermost,
        }
    }
}

/// The function that tells what is waited for, or the innermost one.
#[must_use]
pub fn witness_of<'a>(mut functions: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let is_reclaim = |function: &&str| RECLAIM.iter().any(|name| function.starts_with(name));
    let is_known = |function: &&str| SLEEPS.iter().any(|(name, _)| function.starts_with(name));
    let reclaim = functions.clone().find(is_reclaim);
    let known = reclaim.or_else(|| functions.clone().find(is_known));
    known.or_else(|| functions.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the innermost function to the outermost one, as kernels have shown them.
    const STACKS: [(&str, Sleep, &str); 14] = [
        (
            "schedule handle_userfault do_anonymous_page __handle_mm_fault handle_mm_fault do_user_addr_fault",
            Sleep::Userfault,
            "handle_userfault",
        ),
        (
            "io_schedule folio_wait_bit_common filemap_update_page filemap_fault __do_fault do_user_addr_fault",
            Sleep::Page,
            "filemap_update_page",
        ),
        (
            "io_schedule folio_wait_bit_common __folio_lock_or_retry filemap_fault __do_fault handle_mm_fault",
            Sleep::Page,
            "filemap_fault",
        ),
        (
            "schedule request_wait_answer fuse_simple_request fuse_do_readfolio fuse_read_folio filemap_read_folio \
             filemap_fault",
            Sleep::Page,
            "request_wait_answer",
        ),
        (
            "io_schedule folio_wait_bit_common folio_wait_writeback ext4_page_mkwrite do_page_mkwrite do_wp_page",
            Sleep::Writeback,
            "folio_wait_writeback",
        ),
        (
            "schedule jbd2_log_wait_commit ext4_page_mkwrite do_page_mkwrite do_shared_fault",
            Sleep::Fs,
            "jbd2_log_wait_commit",
        ),
        (
            "io_schedule folio_wait_bit_common __folio_lock_or_retry do_swap_page handle_mm_fault do_user_addr_fault",
            Sleep::Swap,
            "do_swap_page",
        ),
        (
            "io_schedule_timeout shrink_lruvec shrink_node try_to_free_mem_cgroup_pages try_charge_memcg \
             filemap_add_folio filemap_fault",
            Sleep::Reclaim,
            "shrink_lruvec",
        ),
        (
            "io_schedule folio_wait_writeback shrink_folio_list shrink_node try_to_free_pages alloc_pages do_swap_page",
            Sleep::Reclaim,
            "shrink_node",
        ),
        (
            "schedule rwsem_down_read_slowpath down_read_killable lock_mm_and_find_vma do_user_addr_fault",
            Sleep::Lock,
            "lock_mm_and_find_vma",
        ),
        (
            "schedule rwsem_down_read_slowpath down_read page_cache_ra_unbounded filemap_fault",
            Sleep::Page,
            "page_cache_ra_unbounded",
        ),
        (
            "schedule rwsem_down_read_slowpath down_read do_user_addr_fault exc_page_fault",
            Sleep::Lock,
            "schedule",
        ),
        (
            "schedule rwsem_down_read_slowpath something_else handle_mm_fault do_user_addr_fault exc_page_fault",
            Sleep::Other,
            "schedule",
        ),
        ("", Sleep::Other, ""),
    ];

    #[test]
    fn a_stack_tells_what_is_slept_for_and_which_function_says_so() {
        for (stack, sleep, witness) in STACKS {
            assert_eq!(Sleep::of(stack.split_whitespace()), sleep, "{stack}");
            let found = witness_of(stack.split_whitespace()).unwrap_or_default();
            assert_eq!(found, witness, "{stack}");
        }
    }
}
