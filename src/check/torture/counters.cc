// Reading and subtracting.
#include "check/torture/counters.h"

#include <sstream>

#include "linux/world/text_file.h"

namespace verso::check::torture {

Counters read_vmstat() {
    Counters counters;
    std::istringstream text(host::read_text("/proc/vmstat"));
    std::string name;
    for (u64 value = 0; text >> name >> value;) {
        counters[name] = value;
    }
    return counters;
}

Acted compared(std::string name, std::string how, const Counters& before, const Counters& after,
               const std::vector<std::string_view>& proof,
               const std::vector<std::string_view>& others) {
    Acted acted;
    acted.name = std::move(name);
    acted.how = std::move(how);
    bool known = false;
    const auto tell = [&](std::string_view counter) {
        const auto was = before.find(counter);
        const auto is = after.find(counter);
        if (was == before.end() || is == after.end()) {
            return u64{0};
        }
        known = true;
        const u64 grown = is->second > was->second ? is->second - was->second : 0;
        acted.counters.push_back({std::string(counter), grown});
        return grown;
    };
    for (const std::string_view counter : proof) {
        acted.acted |= tell(counter) > 0;
    }
    for (const std::string_view counter : others) {
        static_cast<void>(tell(counter));
    }
    if (!acted.acted) {
        acted.why_not = known ? "none of the kernel's counters of it grew"
                              : "this kernel counts nothing of it: it was built without";
    }
    return acted;
}

}  // namespace verso::check::torture
