// What pagemap and PAGEMAP_SCAN are asked.
#include "check/program/look.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "abi/abi.h"

namespace verso::check {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

Result<std::vector<PageFacts>> facts_of(kernel::Kernel& kernel, u64 from, u64 count, u64 unit) {
    std::vector<PageFacts> found(count);
    for (u64 i = 0; i < count; ++i) {
        PageFacts& page = found[i];
        const u64 at = from + i * unit;
        Payload words;
        words.out = std::as_writable_bytes(std::span(&page.word, 1));
        const Outcome read = kernel.perform(Call::pagemap_read(at, page_size), words);
        if (!read.ok()) {
            return fail(ErrorKind::system, read.error, "pagemap: {}", kernel::to_string(read));
        }
        std::array<kernel::ScanRegion, 1> region{};
        kernel::ScanQuestion question;
        question.regions = region;
        question.return_mask = (abi::PageIs::guard << 1) - 1;
        Payload scan;
        scan.scan = &question;
        Outcome outcome = kernel.perform(Call::scan(at, page_size), scan);
        if (outcome.error == EINVAL) {  // before 6.15 there is no category GUARD
            question.return_mask = abi::PageIs::guard - 1;
            outcome = kernel.perform(Call::scan(at, page_size), scan);
        }
        page.categories = outcome.ok() && outcome.value == 1 ? region[0].categories : 0;
    }
    return found;
}

Scanned scan(kernel::Kernel& kernel, const Step& step, u64 address, u64 length) {
    std::array<kernel::ScanRegion, 64> regions{};
    kernel::ScanQuestion question;
    if ((step.mode & ScanMode::blind) == 0) {
        question.regions = regions;
    }
    const u64 without = (step.mode >> ScanMode::without_shift) & ScanMode::categories;
    question.category_mask = (step.mode & ScanMode::categories) | without;
    question.category_inverted = without;
    question.pages_max = (step.mode & ScanMode::one) != 0 ? 1 : 0;
    question.return_mask = abi::PageIs::written;
    if (step.verb == Verb::arm) {
        question.flags = abi::PagemapScanFlag::wp_matching | abi::PagemapScanFlag::check_wp_async;
        question.category_mask |= abi::PageIs::written;
    }
    Payload payload;
    payload.scan = &question;
    Scanned scanned{kernel.perform(Call::scan(address, length), payload)};
    scanned.walked = scanned.outcome.walk_end - address;
    const bool told = (step.mode & ScanMode::blind) == 0 && scanned.outcome.ok();
    for (i64 i = 0; told && i < scanned.outcome.value; ++i) {
        const kernel::ScanRegion& one = regions[static_cast<std::size_t>(i)];
        scanned.bytes += one.end - one.start;
    }
    return scanned;
}

std::string Scanned::text(const Step& step, u64 length, u64 unit) const {
    std::string until;
    if ((step.mode & ScanMode::one) != 0) {
        until = walked == length ? " to the end"
                                 : fmt::format(" to {}", walked / std::max(unit, page_size));
    }
    if ((step.mode & ScanMode::blind) != 0) {
        return "done" + until;
    }
    const bool all = unit == 0 && bytes == length;
    return (all ? "= all" : fmt::format("= {}", bytes / std::max(unit, page_size))) + until;
}

}  // namespace verso::check
