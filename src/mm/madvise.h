// madvise: what madvise.cc does to one mapping's part of the range, for madvise_walk.cc.
#pragma once

#include "mm/model.h"

namespace verso::mm {

/// One mapping's part of the range.
struct AdvisedPart {
    u8 thread;
    u8 space;
    Vma vma;
    Vpn start;
    Vpn end;
};

/// blocked: the thread sleeps in a fault (POPULATE), or until its REMOVE event was read; then
/// State::advising says what is to go.
Outcome madvise_vma(Machine& machine, const AdvisedPart& part, Advice advice);

/// What was announced from page `start` on, now that it was read. `reached`: where it ended, which
/// is before the announced end if the mapping shrank. disabled: not now, a page of the file is
/// under way.
Outcome drop_announced(Machine& machine, const Advising& rest, Vpn start, Vpn& reached);

}  // namespace verso::mm
