// The raw rival of written(): async write-protection and PAGEMAP_SCAN by plain ioctls.
#pragma once

#include <vector>

#include "abi/pagemap.h"
#include "cli/bench/rivals/raw_uffd.h"

namespace verso::cli::bench {

class RawScan {
public:
    static Result<RawScan> create(u64 size, u64 runs_max);
    /// Gets the pages written since the last time and arms them again, in one step. Returns how
    /// many.
    Result<u64> written();
    const RawRegion& region() const { return region_; }

private:
    RawScan(RawRegion region, Fd pagemap, u64 runs_max)
        : region_(std::move(region)), pagemap_(std::move(pagemap)), runs_(runs_max) {}
    RawRegion region_;
    Fd pagemap_;
    std::vector<abi::PageRegion> runs_;
};

}  // namespace verso::cli::bench
