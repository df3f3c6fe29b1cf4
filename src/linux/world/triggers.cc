// Which trigger is which function.
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Provoked;
using kernel::Trigger;

Provoked provoke_on(const Target& target, Machine& machine, Trigger trigger) {
    const std::lock_guard one_at_a_time(machine.guard());
    switch (trigger) {
        case Trigger::reclaim: return reclaim(target, machine);
        case Trigger::swap_off: return swap_off(target, machine);
        case Trigger::migrate: return migrate(target);
        case Trigger::numa_hint: return numa_hint(target, machine);
        case Trigger::ksm_merge: return ksm_merge(target, machine);
        case Trigger::ksm_unmerge: return ksm_unmerge(target);
        case Trigger::thp_collapse: return thp_collapse(target);
        case Trigger::thp_split: return thp_split(target);
        case Trigger::write_back: return write_back(target);
    }
    return not_so("a running kernel does not stop half way, and breaks nothing on demand");
}

}  // namespace verso::host
