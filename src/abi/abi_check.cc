// Hazard H30: a number copied by hand is a number copied wrong, and a wrong ioctl fails where
// nobody looks. So each of ours is compared, at compile time, with the system header's wherever
// that defines the same name; newer headers bring more comparisons by themselves. Numbers that no
// header here defines are compared with literals that tests/abi has from the kernel's
// documentation.
#include <cstddef>

#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "abi/abi.h"

namespace verso::abi {
namespace {

template <class Ours, class Theirs>
constexpr bool same_value(Ours ours, Theirs theirs) {
    return static_cast<u64>(ours) == static_cast<u64>(theirs);
}

static_assert(same_value(uffd_api_version, UFFD_API));
static_assert(same_value(uffd_user_mode_only, UFFD_USER_MODE_ONLY));

static_assert(same_value(Feature::pagefault_flag_wp, UFFD_FEATURE_PAGEFAULT_FLAG_WP));
static_assert(same_value(Feature::event_fork, UFFD_FEATURE_EVENT_FORK));
static_assert(same_value(Feature::event_remap, UFFD_FEATURE_EVENT_REMAP));
static_assert(same_value(Feature::event_remove, UFFD_FEATURE_EVENT_REMOVE));
static_assert(same_value(Feature::missing_hugetlbfs, UFFD_FEATURE_MISSING_HUGETLBFS));
static_assert(same_value(Feature::missing_shmem, UFFD_FEATURE_MISSING_SHMEM));
static_assert(same_value(Feature::event_unmap, UFFD_FEATURE_EVENT_UNMAP));
static_assert(same_value(Feature::sigbus, UFFD_FEATURE_SIGBUS));
static_assert(same_value(Feature::thread_id, UFFD_FEATURE_THREAD_ID));
static_assert(same_value(Feature::minor_hugetlbfs, UFFD_FEATURE_MINOR_HUGETLBFS));
static_assert(same_value(Feature::minor_shmem, UFFD_FEATURE_MINOR_SHMEM));
static_assert(same_value(Feature::exact_address, UFFD_FEATURE_EXACT_ADDRESS));
static_assert(same_value(Feature::wp_hugetlbfs_shmem, UFFD_FEATURE_WP_HUGETLBFS_SHMEM));
#ifdef UFFD_FEATURE_WP_UNPOPULATED
static_assert(same_value(Feature::wp_unpopulated, UFFD_FEATURE_WP_UNPOPULATED));
#endif
#ifdef UFFD_FEATURE_POISON
static_assert(same_value(Feature::poison, UFFD_FEATURE_POISON));
#endif
#ifdef UFFD_FEATURE_WP_ASYNC
static_assert(same_value(Feature::wp_async, UFFD_FEATURE_WP_ASYNC));
#endif
#ifdef UFFD_FEATURE_MOVE
static_assert(same_value(Feature::move, UFFD_FEATURE_MOVE));
#endif

static_assert(same_value(UffdIoctl::api, UFFDIO_API));
static_assert(same_value(UffdIoctl::register_range, UFFDIO_REGISTER));
static_assert(same_value(UffdIoctl::unregister, UFFDIO_UNREGISTER));
static_assert(same_value(UffdIoctl::wake, UFFDIO_WAKE));
static_assert(same_value(UffdIoctl::copy, UFFDIO_COPY));
static_assert(same_value(UffdIoctl::zeropage, UFFDIO_ZEROPAGE));
static_assert(same_value(UffdIoctl::write_protect, UFFDIO_WRITEPROTECT));
static_assert(same_value(UffdIoctl::continue_range, UFFDIO_CONTINUE));
#ifdef UFFDIO_POISON
static_assert(same_value(UffdIoctl::poison, UFFDIO_POISON));
#endif
#ifdef UFFDIO_MOVE
static_assert(same_value(UffdIoctl::move, UFFDIO_MOVE));
#endif
#ifdef USERFAULTFD_IOC_NEW
static_assert(same_value(UffdIoctl::device_new, USERFAULTFD_IOC_NEW));
#endif

static_assert(same_value(UffdRegisterMode::missing, UFFDIO_REGISTER_MODE_MISSING));
static_assert(same_value(UffdRegisterMode::wp, UFFDIO_REGISTER_MODE_WP));
static_assert(same_value(UffdRegisterMode::minor, UFFDIO_REGISTER_MODE_MINOR));
static_assert(same_value(UffdFillMode::dont_wake, UFFDIO_COPY_MODE_DONTWAKE));
static_assert(same_value(UffdFillMode::dont_wake, UFFDIO_ZEROPAGE_MODE_DONTWAKE));
static_assert(same_value(UffdFillMode::dont_wake, UFFDIO_CONTINUE_MODE_DONTWAKE));
static_assert(same_value(UffdFillMode::wp, UFFDIO_COPY_MODE_WP));
#ifdef UFFDIO_CONTINUE_MODE_WP
static_assert(same_value(UffdFillMode::wp, UFFDIO_CONTINUE_MODE_WP));
#endif
#ifdef UFFDIO_POISON_MODE_DONTWAKE
static_assert(same_value(UffdFillMode::dont_wake, UFFDIO_POISON_MODE_DONTWAKE));
#endif
static_assert(same_value(UffdWpMode::wp, UFFDIO_WRITEPROTECT_MODE_WP));
static_assert(same_value(UffdWpMode::dont_wake, UFFDIO_WRITEPROTECT_MODE_DONTWAKE));

static_assert(sizeof(UffdApi) == sizeof(uffdio_api));
static_assert(offsetof(UffdApi, features) == offsetof(uffdio_api, features));
static_assert(offsetof(UffdRegister, mode) == offsetof(uffdio_register, mode));
static_assert(offsetof(UffdRegister, ioctls) == offsetof(uffdio_register, ioctls));
static_assert(offsetof(UffdCopy, target) == offsetof(uffdio_copy, dst));
static_assert(offsetof(UffdCopy, source) == offsetof(uffdio_copy, src));
static_assert(offsetof(UffdCopy, length) == offsetof(uffdio_copy, len));
static_assert(offsetof(UffdCopy, mode) == offsetof(uffdio_copy, mode));
static_assert(offsetof(UffdCopy, copied) == offsetof(uffdio_copy, copy));
static_assert(offsetof(UffdZeropage, zeroed) == offsetof(uffdio_zeropage, zeropage));
static_assert(offsetof(UffdContinue, mapped) == offsetof(uffdio_continue, mapped));
static_assert(offsetof(UffdWriteProtect, mode) == offsetof(uffdio_writeprotect, mode));

static_assert(sizeof(UffdMessage) == sizeof(uffd_msg));
static_assert(offsetof(UffdMessage, event) == offsetof(uffd_msg, event));
static_assert(offsetof(UffdMessage, first) == offsetof(uffd_msg, arg.pagefault.flags));
static_assert(offsetof(UffdMessage, second) == offsetof(uffd_msg, arg.pagefault.address));
static_assert(offsetof(UffdMessage, third) == offsetof(uffd_msg, arg.pagefault.feat.ptid));
static_assert(offsetof(UffdMessage, first) == offsetof(uffd_msg, arg.remap.from));
static_assert(offsetof(UffdMessage, second) == offsetof(uffd_msg, arg.remap.to));
static_assert(offsetof(UffdMessage, third) == offsetof(uffd_msg, arg.remap.len));
static_assert(offsetof(UffdMessage, first) == offsetof(uffd_msg, arg.remove.start));
static_assert(offsetof(UffdMessage, second) == offsetof(uffd_msg, arg.remove.end));
static_assert(offsetof(UffdMessage, first) == offsetof(uffd_msg, arg.fork.ufd));
static_assert(same_value(UffdEvent::pagefault, UFFD_EVENT_PAGEFAULT));
static_assert(same_value(UffdEvent::fork, UFFD_EVENT_FORK));
static_assert(same_value(UffdEvent::remap, UFFD_EVENT_REMAP));
static_assert(same_value(UffdEvent::remove, UFFD_EVENT_REMOVE));
static_assert(same_value(UffdEvent::unmap, UFFD_EVENT_UNMAP));
static_assert(same_value(UffdFaultFlag::write, UFFD_PAGEFAULT_FLAG_WRITE));
static_assert(same_value(UffdFaultFlag::wp, UFFD_PAGEFAULT_FLAG_WP));
static_assert(same_value(UffdFaultFlag::minor, UFFD_PAGEFAULT_FLAG_MINOR));

#ifdef PAGEMAP_SCAN
static_assert(same_value(pagemap_scan_ioctl, PAGEMAP_SCAN));
static_assert(same_value(PageIs::wp_allowed, PAGE_IS_WPALLOWED));
static_assert(same_value(PageIs::written, PAGE_IS_WRITTEN));
static_assert(same_value(PageIs::file, PAGE_IS_FILE));
static_assert(same_value(PageIs::present, PAGE_IS_PRESENT));
static_assert(same_value(PageIs::swapped, PAGE_IS_SWAPPED));
static_assert(same_value(PageIs::pfn_zero, PAGE_IS_PFNZERO));
static_assert(same_value(PageIs::huge, PAGE_IS_HUGE));
static_assert(same_value(PagemapScanFlag::wp_matching, PM_SCAN_WP_MATCHING));
static_assert(same_value(PagemapScanFlag::check_wp_async, PM_SCAN_CHECK_WPASYNC));
static_assert(sizeof(PagemapScan) == sizeof(pm_scan_arg));
static_assert(sizeof(PageRegion) == sizeof(page_region));
#endif
#ifdef PAGE_IS_SOFT_DIRTY
static_assert(same_value(PageIs::soft_dirty, PAGE_IS_SOFT_DIRTY));
#endif
#ifdef PAGE_IS_GUARD
static_assert(same_value(PageIs::guard, PAGE_IS_GUARD));
#endif

}  // namespace
}  // namespace verso::abi
