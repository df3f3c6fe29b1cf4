// Plan: what everybody means to do in a simulated run, drawn before it begins, as a value. An act
// says what and two random numbers; whom it concerns is found when its turn comes (the
// number modulo what there is). So acts can be left out in any combination and what remains is
// still a plan: that is what shrinking does.
//
//   process 0   snapshot · look · fork · …      one track for each process
//   writer 0    store · store · …               its memories' writers, or readers
//   the kernel  migrate · reclaim · …
//   fate        kill · hang_up
#pragma once

#include <string>
#include <vector>

#include "check/swarm/knobs.h"

namespace verso::check::swarm {

struct Act {
    u8 what = 0;  // Verb, Weather or Blow, as the track says
    u32 which = 0;
    u32 how = 0;
    friend bool operator==(const Act&, const Act&) = default;
};

enum class Role : u8 { process, writer, kernel, fate };
enum class Blow : u8 { kill, hang_up };

struct Track {
    Role role = Role::process;
    u32 process = 0;  // of a process or of a writer
    std::vector<Act> acts;
    friend bool operator==(const Track&, const Track&) = default;
};

/// Small: one snapshot, two forks, four writers, 200 acts, nothing in between; the seed draws only
/// who goes on and where stores go. The unit in which the speed of runs is told.
enum class Size : u8 { drawn, small };

struct Plan {
    u64 seed = 0;
    Size size = Size::drawn;
    Knobs knobs;
    std::vector<Track> tracks;
    std::size_t acts() const;
    friend bool operator==(const Plan&, const Plan&) = default;
};

Plan draw_plan(u64 seed, Size size = Size::drawn);
std::string name_of(const Track& track, std::size_t number);

}  // namespace verso::check::swarm
