// Halves of what a kernel does on its own account, what breaks, and what drivers, settings and the
// scheduler do: triggers that only a model has. A running kernel does not stop in the middle of a
// migration, and breaks no memory on demand, so these are beyond Trigger's own: whoever implements
// World for a machine knows none of them.
#pragma once

#include "kernel/world.h"

namespace verso::kernel {

/// As Trigger's values, from 64 on.
enum class Half : u8 {
    migrate_begin = 64,
    migrate_end,
    migrate_fail,  // the pages stay where they were
    write_back_begin,
    write_back_end,
    swap_slot_fails,  // what lies in swap cannot be read any more
    memory_failure,   // the page's memory is broken
    device_collect,   // mm/migrate_device.c: a driver takes a page to its own memory, in four steps
    device_unmap,
    device_unmap_held,  // … while somebody holds the page
    device_migrate,
    device_finalize,
    device_give_up,
    pin_to_read,    // FOLL_LONGTERM without FOLL_WRITE: no system call asks for just that
    merge_zeroes,   // KSM with use_zero_pages: what is all zeroes becomes the zero page
    other_node,     // the scheduler moves the thread to the other node
    memory_full,    // somebody else takes every page of memory that is free …
    memory_back,    // … and gives them back
    swap_full,      // somebody else takes every free slot of swap
    at_the_end,     // the second area lies at the end of the address space from here on
    device_writes,  // the device that pinned the page writes zeroes and lets it go
};
constexpr Trigger trigger_of(Half half) { return static_cast<Trigger>(half); }
constexpr bool is_half(Trigger trigger) { return trigger >= trigger_of(Half::migrate_begin); }
/// Whoever touches a page that is on its way sleeps until it has come.
constexpr bool makes_wait(Trigger trigger) {
    return trigger == trigger_of(Half::migrate_begin) ||
           trigger == trigger_of(Half::device_collect);
}
constexpr Half half_of(Trigger trigger) { return static_cast<Half>(trigger); }

}  // namespace verso::kernel
