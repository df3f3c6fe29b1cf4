// What most tests of the model begin with: two pages of a kind (one huge page), stored to,
// registered and protected. With feature SIGBUS a message is a SIGBUS in the thread itself (section
// 12), so that one thread is enough.
#pragma once

#include <ostream>

#include "mm/world.h"

namespace verso::mm {

inline void PrintTo(MemoryKind kind, std::ostream* out) {
    const char* const names[] = {"A", "SS", "SP", "HS", "HP", "FS", "FP"};
    *out << names[static_cast<unsigned>(kind)];
}
inline void PrintTo(Verdict verdict, std::ostream* out) {
    const char* const names[] = {"done",   "blocked",  "sigbus", "sigsegv",
                                 "failed", "disabled", "hangs"};
    *out << names[static_cast<unsigned>(verdict)];
}
inline void PrintTo(const Entry& entry, std::ostream* out) {
    const char* const names[] = {"N", "P", "S", "M", "K", "H"};
    *out << names[static_cast<unsigned>(entry.kind)] << " markers=" << unsigned{entry.markers}
         << " k=" << static_cast<unsigned>(entry.migration) << " w" << entry.write << " d"
         << entry.dirty << " y" << entry.young << " sd" << entry.soft_dirty << " u" << entry.uffd_wp
         << " pn" << entry.protnone << " z" << entry.zero << " ex" << entry.exclusive << " → "
         << entry.target;
}

/// The store was somebody's business: a message, or its SIGBUS.
inline bool told(const Outcome& outcome) {
    return outcome.verdict == Verdict::sigbus || outcome.verdict == Verdict::blocked;
}
inline bool silent(const Outcome& outcome) { return outcome.verdict == Verdict::done; }

inline World registered(MemoryKind kind, Rules rules = mainline(), u32 features = Feature::sigbus,
                        u32 mode = Mode::wp) {
    World world(rules);
    world.map(kind, 2);
    world.open(features);
    EXPECT_EQ(world.register_(0, 2, mode).verdict, Verdict::done) << "REGISTER";
    return world;
}

inline World armed(MemoryKind kind, Rules rules = mainline(), u32 features = Feature::sigbus) {
    World world(rules);
    world.map(kind, 2);
    EXPECT_TRUE(silent(world.store(0, 7)));
    world.open(features);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done) << "REGISTER";
    EXPECT_EQ(world.protect(0, 2).verdict, Verdict::done) << "WRITEPROTECT";
    return world;
}

inline constexpr u32 async = Feature::sigbus | Feature::wp_async;
inline constexpr u32 unpopulated = Feature::sigbus | Feature::wp_unpopulated;

inline const MemoryKind swappable[] = {MemoryKind::A, MemoryKind::SP};
inline const MemoryKind sync_kinds[] = {MemoryKind::A, MemoryKind::SS, MemoryKind::SP,
                                        MemoryKind::HS, MemoryKind::HP};
inline const MemoryKind every_kind[] = {MemoryKind::A,  MemoryKind::SS, MemoryKind::SP,
                                        MemoryKind::HS, MemoryKind::HP, MemoryKind::FS,
                                        MemoryKind::FP};

/// A second thread in the first one's address space.
inline u8 second_thread(World& world, u8 node = 0) {
    Thread thread;
    thread.alive = true;
    thread.space = 0;
    thread.node = node;
    world.state().threads.push_back(thread);
    return static_cast<u8>(world.state().threads.size() - 1);
}

}  // namespace verso::mm
