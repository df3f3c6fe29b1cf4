// Equal pages become one and several again; 512 entries become one and 512 again.
#include <unistd.h>

#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Advice;
using kernel::Call;
using kernel::Provoked;

namespace {
/// A setting of KSM; `smart_scan` and others are younger than KSM itself and may be absent.
std::unique_ptr<Setting> ksm_setting(Machine& machine, const char* name, const char* text) {
    Result<std::unique_ptr<Setting>> changed =
        Setting::change(machine.keeper(), fmt::format("/sys/kernel/mm/ksm/{}", name), text);
    return changed ? std::move(*changed) : nullptr;
}
}  // namespace

/// T-13. A page is merged in the second scan that finds it unchanged, or later.
Provoked ksm_merge(const Target& target, Machine& machine) {
    constexpr u64 scans_max = 8;
    constexpr int waits_max = 10'000;
    const std::unique_ptr<Setting> smart = ksm_setting(machine, "smart_scan", "0");
    const std::unique_ptr<Setting> pages = ksm_setting(machine, "pages_to_scan", "20000");
    const std::unique_ptr<Setting> pause = ksm_setting(machine, "sleep_millisecs", "1");
    const u64 before = count_frames(entries_of(target), FrameFlag::ksm);
    const u64 first_scan = read_number("/sys/kernel/mm/ksm/full_scans");
    const std::unique_ptr<Setting> run = ksm_setting(machine, "run", "1");
    if (run == nullptr) {
        return not_so("/sys/kernel/mm/ksm/run is not there or not for us to change");
    }
    u64 merged = before;
    for (int waits = 0; waits < waits_max; ++waits) {
        const std::vector<u64> entries = entries_of(target);
        merged = count_frames(entries, FrameFlag::ksm);
        const u64 scans = read_number("/sys/kernel/mm/ksm/full_scans") - first_scan;
        if (merged == count_present(entries) || scans >= scans_max) {
            break;
        }
        ::usleep(1000);
    }
    return merged > before ? acted()
                           : not_so(
                                 "no page of the range was merged: none is equal to another in "
                                 "memory advised MERGEABLE, or they are watched or locked");
}

/// Advice and not run=2, which would undo the merging of everybody's pages on this machine. The
/// mapping is mergeable afterwards, as it was.
Provoked ksm_unmerge(const Target& target) {
    if (count_frames(entries_of(target), FrameFlag::ksm) == 0) {
        return not_so("no page of the range is merged");
    }
    const kernel::Outcome apart =
        target.kernel.perform(Call::advise(target.address, target.length, Advice::unmergeable));
    const kernel::Outcome again =
        target.kernel.perform(Call::advise(target.address, target.length, Advice::mergeable));
    if (!apart.ok() || !again.ok()) {
        return not_so(to_string(apart.ok() ? again : apart));
    }
    const u64 after = count_frames(entries_of(target), FrameFlag::ksm);
    return after == 0 ? acted() : not_so(fmt::format("{} pages stayed merged", after));
}

/// T-15.
Provoked thp_collapse(const Target& target) {
    const u64 before = huge_bytes(target);
    const kernel::Outcome advised =
        target.kernel.perform(Call::advise(target.address, target.length, Advice::collapse));
    if (huge_bytes(target) > before) {
        return acted();
    }
    return not_so(advised.ok() ? "the range was mapped by huge entries before, or holds no whole "
                                 "huge page"
                               : to_string(advised));
}

/// T-7: the advice concerns one page of each, so the kernel takes the huge one apart first.
Provoked thp_split(const Target& target) {
    const u64 huge_page = huge_page_bytes();
    const u64 before = huge_bytes(target);
    if (before == 0) {
        return not_so("nothing of the range is mapped by a huge entry");
    }
    const u64 end = target.address + target.length;
    for (u64 at = target.address; at < end; at = round_down(at, huge_page) + huge_page) {
        static_cast<void>(target.kernel.perform(Call::advise(at, page_size, Advice::cold)));
    }
    return huge_bytes(target) < before
               ? acted()
               : not_so("the huge pages stayed whole: they are shared, pinned or of the pool");
}

}  // namespace verso::host
