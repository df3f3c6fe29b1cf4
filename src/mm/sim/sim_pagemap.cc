// /proc/PID/pagemap, PAGEMAP_SCAN, clear_refs: what linux/pagemap_calls.cc does.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "abi/pagemap.h"
#include "mm/pagemap_scan.h"
#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

/// linux/pagemap_calls.cc asks the same.
ScanArg question_of(u64 flags) {
    using kernel::ScanFlag;
    ScanArg arg;
    if ((flags & ScanFlag::written) != 0) {
        arg.category_mask |= abi::PageIs::written;
        arg.return_mask |= abi::PageIs::written;
        arg.flags |= abi::PagemapScanFlag::check_wp_async;
    }
    if ((flags & ScanFlag::arm) != 0) {
        arg.flags |= abi::PagemapScanFlag::wp_matching;
    }
    if ((flags & ScanFlag::private_copy) != 0) {
        arg.category_mask |= abi::PageIs::file;
        arg.category_inverted |= abi::PageIs::file;
        arg.category_anyof_mask |= abi::PageIs::present | abi::PageIs::swapped;
    }
    return arg;
}

}  // namespace

kernel::Outcome SimKernel::pagemap_scan(const kernel::Call& call, const kernel::Payload& payload) {
    const u64 end = call.address + call.length;
    u64 at = call.address;
    std::size_t filled = 0;
    do {
        ScanArg arg = question_of(call.aux);
        arg.start = model(at);
        arg.end = arg.start + (end - at);
        arg.vec_len = static_cast<u32>(std::min<std::size_t>(payload.runs.size() - filled, 4096));
        const Outcome outcome = run(to_call(arg));
        if (outcome.verdict != Verdict::done) {
            return filled > 0
                       ? kernel::Outcome{kernel::Verdict::done, 0, static_cast<i64>(filled), at}
                       : kernel::failure(outcome.error);
        }
        for (const Machine::Region& region : memory().machine().scanned) {
            const u64 from = address_of(region.start);
            const u64 to = address_of(region.end);
            if (filled > 0 && payload.runs[filled - 1].end == from) {
                payload.runs[filled - 1].end = to;
            } else {
                payload.runs[filled++] = kernel::Run{from, to};
            }
        }
        at = address_of(outcome.progress);
    } while (at < end && filled < payload.runs.size());
    return {kernel::Verdict::done, 0, static_cast<i64>(filled), at};
}

kernel::Outcome SimKernel::scan(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(payload.scan != nullptr, "a scan without a question");
    const kernel::ScanQuestion& question = *payload.scan;
    const u64 masks = question.category_inverted | question.category_mask |
                      question.category_any_of | question.return_mask;
    if (question.flags >> 32 != 0 || masks >> 16 != 0) {
        return kernel::failure(world_.rules().has_wp_async ? EINVAL : ENOTTY);
    }
    ScanArg arg;
    arg.flags = static_cast<u32>(question.flags);
    arg.start = model(call.address);
    arg.end = arg.start + call.length;
    arg.vec_len = static_cast<u32>(question.regions.size());
    arg.max_pages = static_cast<u32>(std::min<u64>(question.pages_max, ~u32{0}));
    arg.category_inverted = question.category_inverted;
    arg.category_mask = question.category_mask;
    arg.category_anyof_mask = question.category_any_of;
    arg.return_mask = question.return_mask;
    const Outcome outcome = run(to_call(arg));
    const auto& found = memory().machine().scanned;
    for (std::size_t i = 0; i < std::min(found.size(), question.regions.size()); ++i) {
        question.regions[i] = {address_of(found[i].start), address_of(found[i].end),
                               found[i].categories};
    }
    kernel::Outcome said = answer(outcome);
    const bool walked = outcome.verdict == Verdict::done || outcome.progress != 0;
    said.walk_end = walked ? address_of(outcome.progress) : 0;
    return said;
}

kernel::Outcome SimKernel::clear_refs() {
    const Outcome outcome = run({.op = Op::clear_refs});
    return outcome.verdict == Verdict::done ? kernel::Outcome::done(1)  // one byte written
                                            : kernel::failure(outcome.error);
}

/// Pages that are nobody's read zeroes.
kernel::Outcome SimKernel::pagemap_read(const kernel::Call& call, const kernel::Payload& payload) {
    const u64 bytes = to_pages(call.length) * sizeof(u64);
    VERSO_CHECK(bytes <= payload.out.size(), "{} bytes into {}", bytes, payload.out.size());
    std::ranges::fill(payload.out.first(bytes), std::byte{});
    Call read{.op = Op::pagemap};
    read.address = round_down(model(call.address), page_size);
    read.length = to_bytes(to_pages(call.length));
    if (read.address < memory().limit()) {
        (void)run(read);
        const auto& words = memory().machine().pagemap;
        std::memcpy(payload.out.data(), words.data(), std::min(bytes, words.size() * sizeof(u64)));
    }
    return kernel::Outcome::done(static_cast<i64>(bytes));
}

}  // namespace verso::mm::sim
