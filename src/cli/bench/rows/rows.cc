// The table of rows, and what several of them need.
#include "cli/bench/rows/rows.h"

#include <algorithm>
#include <array>

#include "cli/bench/rivals/memory.h"

namespace verso::cli::bench {

std::span<const Row> all_rows() {
    static constexpr std::array<Row, 10> rows = {{
        {"arm_first", false, arm_first},
        {"arm_later", false, arm_later},
        {"writer_stall", false, writer_stall},
        {"first_write", false, first_write},
        {"throughput", false, throughput},
        {"fork_ready", true, fork_ready},
        {"child_scan", true, child_scan},
        {"memory", false, memory},
        {"rewind", true, rewind_back},
        {"written", false, written},
    }};
    return rows;
}

Result<Region> populated_region(u64 size_mib, Tracking tracking) {
    RegionOptions options;
    options.size = mib(size_mib);
    options.name = "bench";
    options.tracking = tracking;
    Result<Region> region = Region::create(options);
    if (region && region->backend() != Backend::userfaultfd) {
        return fail(ErrorKind::unsupported, 0,
                    "userfaultfd is not available here, and the targets are for it: {}",
                    region->describe());
    }
    if (region)
        populate(region->bytes());
    return region;
}

u64 size_near(const BenchOptions& options, u64 wanted_mib) {
    u64 best = 0;
    for (const u64 size : options.sizes_mib) {
        if (size <= wanted_mib)
            best = std::max(best, size);
    }
    return best != 0 ? best : *std::min_element(options.sizes_mib.begin(), options.sizes_mib.end());
}

u64 load_byte(std::span<const std::byte> bytes, u64 page) {
    return read_every_page(bytes.subspan(to_bytes(page), 1));
}

}  // namespace verso::cli::bench
