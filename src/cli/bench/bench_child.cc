// The other process of the rows that need one: imports a child region when told, stamps its first
// load, then reads and writes as ordered. It exits when its orders end, so it cannot outlive its
// parent.
//
//   order              answer
//                      r                       running
//   i                  i, then f (stamp)       importing; the first byte has been loaded
//   s                  s (ns, sum)             every page read once
//   w (count, seed)    w                       that many scattered pages written
//                      !                       failed; the reason is on stderr
#include <cstring>
#include <optional>

#include <fmt/core.h>

#include "cli/bench/bench_engine.h"
#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rivals/process.h"
#include "verso/verso.hpp"

namespace verso::cli::bench {

namespace {

class BenchChild {
public:
    explicit BenchChild(std::string name) : name_(std::move(name)) {}

    int run() {
        answer({'r', 0, 0});
        for (Message order; receive_message(ChildProcess::orders_fd, order);) {
            if (!obey(order)) {
                answer({'!', 0, 0});
                return 1;
            }
        }
        return 0;
    }

private:
    static void answer(const Message& message) {
        // A parent that is gone ends the loop above at its next order.
        (void)send_message(ChildProcess::orders_fd, message);
    }

    bool obey(const Message& order) {
        if (order.what == 'i')
            return import();
        if (!region_)
            return false;
        if (order.what == 's') {
            const u64 start = stamp_ns();
            const u64 sum = read_every_page(region_->bytes());
            answer({'s', stamp_ns() - start, sum});
            return true;
        }
        if (order.what == 'w') {
            for (const u64 page :
                 pick_pages(Shape::scattered, region_->pages(), order.a, order.b)) {
                std::memcpy(region_->bytes().data() + to_bytes(page), &order.b, sizeof order.b);
            }
            answer({'w', 0, 0});
            return true;
        }
        return false;
    }

    bool import() {
        ImportOptions options;
        options.name = name_;
        answer({'i', 0, 0});
        Result<Region> region = Region::import(ChildProcess::import_fd, options);
        if (!region) {
            fmt::print(stderr, "verso bench: child {}: {}\n", name_, region.error().message);
            return false;
        }
        const u64 byte = read_every_page(region->bytes().first(1));
        answer({'f', stamp_ns(), byte});
        region_.emplace(std::move(*region));
        return true;
    }

    std::string name_;
    std::optional<Region> region_;
};

}  // namespace
}  // namespace verso::cli::bench

namespace verso::cli {

int bench_child(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "verso bench-child is started by verso bench and by nobody else\n");
        return 2;
    }
    return bench::BenchChild(argv[2]).run();
}

}  // namespace verso::cli
