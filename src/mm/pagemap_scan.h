// What PAGEMAP_SCAN is asked, and how a Call carries it: flags as they are, the range in address
// and length, the two limits in `source`, the four masks in `extra` (16 bits each).
#pragma once

#include "mm/call.h"

namespace verso::mm {

struct ScanArg {
    u32 flags = 0;  ///< abi::PagemapScanFlag
    u64 start = 0;
    u64 end = 0;
    u32 vec_len = 0;    ///< 0: no report
    u32 max_pages = 0;  ///< 0: no limit
    u64 category_inverted = 0;
    u64 category_mask = 0;
    u64 category_anyof_mask = 0;
    u64 return_mask = 0;
};

constexpr Call to_call(const ScanArg& arg, u8 thread = 0) {
    Call call{.op = Op::pagemap_scan, .thread = thread, .flags = arg.flags};
    call.address = arg.start;
    call.length = arg.end - arg.start;
    call.source = arg.vec_len | u64{arg.max_pages} << 32;
    call.extra = (arg.category_inverted & 0xffff) | (arg.category_mask & 0xffff) << 16 |
                 (arg.category_anyof_mask & 0xffff) << 32 | (arg.return_mask & 0xffff) << 48;
    return call;
}

constexpr ScanArg to_scan_arg(const Call& call) {
    ScanArg arg;
    arg.flags = call.flags;
    arg.start = call.address;
    arg.end = call.address + call.length;
    arg.vec_len = static_cast<u32>(call.source);
    arg.max_pages = static_cast<u32>(call.source >> 32);
    arg.category_inverted = call.extra & 0xffff;
    arg.category_mask = call.extra >> 16 & 0xffff;
    arg.category_anyof_mask = call.extra >> 32 & 0xffff;
    arg.return_mask = call.extra >> 48;
    return arg;
}

}  // namespace verso::mm
