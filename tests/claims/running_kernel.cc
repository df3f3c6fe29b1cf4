// The claims' way to the running kernel.
#include "claims/running_kernel.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "claims/claim.h"
#include "linux/world/host_world.h"

namespace verso::claims {

std::string why_not_here() {
    utsname name{};
    // Why safe: fills the structure it is given.
    ::uname(&name);
    if (!std::string_view(name.release).starts_with("6.18.")) {
        return fmt::format("the running kernel is {}, the column is of 6.18", name.release);
    }
    // Why safe: asks, changes nothing.
    return ::geteuid() == 0 ? "" : "triggers need root";
}

Result<std::shared_ptr<host::Machine>> pool_of_huge_pages() {
    Result<std::shared_ptr<host::Machine>> machine = host::Machine::get();
    if (machine) {
        if (Result<void> pages = (*machine)->huge_pages(8); !pages) {
            return pass(pages);
        }
    }
    return machine;
}

std::string verdict_on_the_running_kernel(const std::string& program, const std::string& words) {
    Result<std::unique_ptr<host::HostWorld>> world = host::HostWorld::create();
    return world ? verdict_on(**world, program, words) : "not run: " + world.error().message;
}

}  // namespace verso::claims
