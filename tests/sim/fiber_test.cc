// Threads of simulated processes: what waits, what wakes it, and that one seed is one run.
#include <algorithm>
#include <array>
#include <set>

#include "sim/sim_test.h"

namespace verso::mm::sim {
namespace {

using abi::Feature;
using kernel::RegisterMode;
using kernel::Verdict;

/// Reads one message of `uffd` after another and answers it, until the event is signalled.
class Handler {
public:
    Handler(kernel::Kernel& kernel, int uffd) : kernel_(kernel), uffd_(uffd) {
        stop_ = Fd(static_cast<int>(kernel_.perform(Call::event_create()).value));
        thread_ = kernel_.spawn("handler", [this] { serve(); });
    }
    ~Handler() {
        EXPECT_TRUE(kernel_.perform(Call::event_signal(stop_.get())).ok());
        thread_.reset();
    }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    std::vector<kernel::Event> seen;

private:
    void serve() {
        for (;;) {
            std::array<kernel::Wait, 2> waits = {kernel::Wait{uffd_}, kernel::Wait{stop_.get()}};
            EXPECT_TRUE(kernel_.perform(Call::wait(~u64{0}), {.waits = waits}).ok());
            kernel::Event event;
            while (kernel_.perform(Call::uffd_read(uffd_), {.events = {&event, 1}}).ok()) {
                seen.push_back(event);
                answer(event);
            }
            if (waits[1].ready) {
                return;
            }
        }
    }
    void answer(const kernel::Event& event) {
        const u64 page = round_down(event.address, page_size);
        std::array<u64, page_size / 8> bytes{};
        bytes[1] = 77;
        const auto from = reinterpret_cast<u64>(bytes.data());  // NOLINT
        if (event.kind == kernel::EventKind::write_protect) {
            EXPECT_TRUE(
                kernel_.perform(Call::uffd_write_protect(uffd_, page, page_size, false)).ok());
        } else if (event.kind == kernel::EventKind::missing) {
            EXPECT_TRUE(kernel_.perform(Call::uffd_copy(uffd_, page, page_size, from, 0)).ok());
        }
    }

    kernel::Kernel& kernel_;
    int uffd_;
    Fd stop_;
    std::unique_ptr<kernel::Thread> thread_;
};

class Fibers : public Sim {
protected:
    const Fd file = memfd(4);
    const u64 app = must(Call::map(file.get(), 0, to_bytes(4), shared));
    Fd protect() {
        Fd uffd = userfaultfd(Feature::wp_hugetlbfs_shmem | Feature::missing_shmem);
        must(Call::uffd_register(uffd.get(), app, to_bytes(4),
                                 RegisterMode::write_protect | RegisterMode::missing));
        return uffd;
    }
};

TEST_F(Fibers, AStoreToAProtectedPageWaitsUntilTheHandlerReleasesIt) {
    store(app, 1);
    const Fd uffd = protect();
    must(Call::uffd_write_protect(uffd.get(), app, page_size, true));
    Handler handler(kernel(), uffd.get());
    store(app, 2);
    EXPECT_EQ(load(app), 2U);
    ASSERT_EQ(handler.seen.size(), 1U);
    EXPECT_EQ(handler.seen[0].kind, kernel::EventKind::write_protect);
    EXPECT_EQ(handler.seen[0].address, app);
}

TEST_F(Fibers, AStoreToAMissingPageIsMadeToWhatTheHandlerPutThere) {
    const Fd uffd = protect();
    Handler handler(kernel(), uffd.get());
    store(app + page_size, 5);
    EXPECT_EQ(load(app + page_size + 8), 77U);
    EXPECT_EQ(load(app + page_size), 5U);
}

TEST_F(Fibers, UnmappingWaitsUntilItsEventIsRead) {
    const Fd uffd = userfaultfd(Feature::event_unmap | Feature::wp_hugetlbfs_shmem);
    must(Call::uffd_register(uffd.get(), app, to_bytes(4), RegisterMode::write_protect));
    Handler handler(kernel(), uffd.get());
    must(Call::unmap(app, page_size));
    ASSERT_EQ(handler.seen.size(), 1U);
    EXPECT_EQ(handler.seen[0].kind, kernel::EventKind::unmapped);
    EXPECT_EQ(handler.seen[0].end, app + page_size);
}

TEST_F(Fibers, AnAccessWaitsForTheEndOfAMigration) {
    store(app, 1);
    mm::Call step{.op = Op::migrate_begin};
    step.address = world.to_model(0, app);
    ASSERT_EQ(world.step(0, step).verdict, mm::Verdict::done);
    bool stored = false;
    const auto thread = kernel().spawn("writer", [&] {
        EXPECT_TRUE(kernel().perform(Call::store(app, 2)).ok());
        stored = true;
    });
    (void)perform(Call::wait(1000));
    EXPECT_FALSE(stored);
    step.op = Op::migrate_end;
    ASSERT_EQ(world.step(0, step).verdict, mm::Verdict::done);
    (void)perform(Call::wait(1000));
    EXPECT_TRUE(stored);
    EXPECT_EQ(load(app), 2U);
}

/// As found by `verso swarm`: the mapping where it began went, and nobody ended it any more.
TEST_F(Fibers, AMigrationEndsWhereverItsFolioIsWaitedFor) {
    const Fd alone = memfd(1);
    const u64 one = must(Call::map(alone.get(), 0, page_size, shared));
    const u64 other = must(Call::map(alone.get(), 0, page_size, shared));
    store(one, 1);
    EXPECT_EQ(load(other), 1U);
    const PageId folio = world.begin_migration(0, one).value();
    must(Call::unmap(one, page_size));
    world.end_migration(folio);
    store(other, 2);
    EXPECT_EQ(load(other), 2U);
}

TEST_F(Fibers, AMigrationThatNobodyWaitsForEndsToo) {
    const u64 own = anonymous(1);
    store(own, 1);
    const PageId folio = world.begin_migration(0, own).value();
    must(Call::unmap(own, page_size));
    world.end_migration(folio);
    EXPECT_EQ(broken_invariant(world.state(), world.rules()), "");
    EXPECT_EQ(world.state().pages[folio].use, PageUse::free);
}

/// As found by `verso swarm`: the file's last name went while its page was under way.
TEST_F(Fibers, AFileWithoutANameGoesWhenTheMigrationOfItsPageEnds) {
    u64 at = 0;
    {
        const Fd alone = memfd(1);
        at = must(Call::map(alone.get(), 0, page_size, shared));
        store(at, 1);
    }
    const PageId folio = world.begin_migration(0, at).value();
    must(Call::unmap(at, page_size));
    EXPECT_NE(world.state().pages[folio].use, PageUse::free);
    world.end_migration(folio);
    EXPECT_EQ(world.state().pages[folio].use, PageUse::free);
    EXPECT_EQ(broken_invariant(world.state(), world.rules()), "");
}

TEST_F(Fibers, AFurtherThreadSleepsInAFaultWhileOthersGoOn) {
    store(app, 1);
    const Fd uffd = protect();
    must(Call::uffd_write_protect(uffd.get(), app, page_size, true));
    const int thread = world.thread(0).value();
    world.start(thread, Call::store(app, 9));
    EXPECT_FALSE(world.finished(thread).has_value());
    EXPECT_EQ(load(app), 1U);
    must(Call::uffd_write_protect(uffd.get(), app, page_size, false));
    const auto outcome = world.finished(thread);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_TRUE(outcome->ok());
    EXPECT_EQ(load(app), 9U);
    world.start(thread, Call::load(app));
    EXPECT_EQ(world.finished(thread)->value, 9);
}

TEST_F(Fibers, TimePassesOnlyWhenNobodyCanRun) {
    const u64 begin = kernel().now_ns();
    int turns = 0;
    const auto busy = kernel().spawn("busy", [&] {
        for (int i = 0; i < 1000; ++i) {
            must(Call::check_mapped(app, page_size));
            turns = kernel().now_ns() == begin ? turns + 1 : turns;
        }
    });
    EXPECT_EQ(perform(Call::wait(3)).verdict, Verdict::timed_out);
    EXPECT_EQ(turns, 1000);
    EXPECT_EQ(kernel().now_ns(), begin + 3'000'000);
}

TEST_F(Fibers, ASpinLoopGivesWay) {
    bool done = false;
    const auto sleeper = kernel().spawn("sleeper", [&] {
        (void)perform(Call::wait(2));
        done = true;
    });
    while (!done) {
        kernel().relax();
    }
    EXPECT_GE(kernel().now_ns(), 2'000'000U);
}

/// Each asks something before it spins on, as the readers of two userfaultfds do.
TEST_F(Fibers, TwoSpinLoopsThatAskSomethingLetTimePass) {
    const auto spin = [this] {
        while (kernel().now_ns() < 50'000) {
            must(Call::check_mapped(app, page_size));
            kernel().relax();
        }
    };
    const auto one = kernel().spawn("one", spin);
    const auto other = kernel().spawn("other", spin);
    spin();
    EXPECT_GE(kernel().now_ns(), 50'000U);
}

TEST_F(Fibers, AConditionIsToldOrTimesOut) {
    const auto mutex = kernel().make_mutex();
    const auto condition = kernel().make_condition();
    mutex->lock();
    EXPECT_FALSE(condition->wait_for(*mutex, 5000));
    bool ready = false;
    const auto other = kernel().spawn("other", [&] {
        mutex->lock();
        ready = true;
        condition->notify_all();
        mutex->unlock();
    });
    while (!ready) {
        condition->wait(*mutex);
    }
    mutex->unlock();
}

/// Four threads that add to one word under a lock, four that do so without one.
struct Race {
    u64 locked = 0;
    u64 lost = 0;
    u64 trace = 0;
};
Race race(u64 seed) {
    RandomChoice choice(seed);
    SimWorld world(mainline(), roomy(), choice);
    kernel::Kernel& kernel = world.process(0);
    const auto at = static_cast<u64>(kernel.perform(Call::map(-1, 0, page_size, plain)).value);
    const auto mutex = kernel.make_mutex();
    const auto add = [&](u64 address) {
        const i64 value = kernel.perform(Call::load(address)).value;
        EXPECT_TRUE(kernel.perform(Call::store(address, static_cast<u64>(value) + 1)).ok());
    };
    {
        std::vector<std::unique_ptr<kernel::Thread>> threads;
        for (int i = 0; i < 4; ++i) {
            threads.push_back(kernel.spawn("adder", [&] {
                for (int turn = 0; turn < 5; ++turn) {
                    mutex->lock();
                    add(at);
                    mutex->unlock();
                    add(at + 8);
                }
            }));
        }
    }
    Race result;
    result.locked = static_cast<u64>(kernel.perform(Call::load(at)).value);
    result.lost = 20 - static_cast<u64>(kernel.perform(Call::load(at + 8)).value);
    result.trace = world.trace();
    return result;
}

TEST(Schedules, ALockKeepsOthersOutAndItsAbsenceIsSeen) {
    u64 lost = 0;
    for (u64 seed = 0; seed < 20; ++seed) {
        const Race result = race(seed);
        EXPECT_EQ(result.locked, 20U) << "seed " << seed;
        lost += result.lost;
    }
    EXPECT_GT(lost, 0U) << "no schedule came between a load and its store";
}

TEST(Schedules, OneSeedIsOneRun) {
    std::set<u64> traces;
    for (u64 seed = 0; seed < 10; ++seed) {
        const u64 trace = race(seed).trace;
        EXPECT_EQ(race(seed).trace, trace) << "seed " << seed;
        traces.insert(trace);
    }
    EXPECT_EQ(traces.size(), 10U);
}

using FibersDeathTest = Fibers;

TEST_F(FibersDeathTest, ADeadlockIsReportedWithWhoWaitsForWhat) {
    const auto cross_locks = [&] {
        const auto one = kernel().make_mutex();
        const auto other = kernel().make_mutex();
        one->lock();
        const auto thread = kernel().spawn("second", [&] {
            other->lock();
            one->lock();
        });
        (void)perform(Call::wait(1));  // by then it has the other
        other->lock();
    };
    EXPECT_DEATH(cross_locks(),
                 "nobody can go on.*\n.*main.*waits for a lock \\(second\\)\n"
                 ".*second.*waits for a lock \\(main\\)");
}

TEST_F(FibersDeathTest, AFaultThatNobodyServesIsReported) {
    store(app, 1);
    const Fd uffd = protect();
    must(Call::uffd_write_protect(uffd.get(), app, page_size, true));
    EXPECT_DEATH(store(app, 2), "main.*waits for a userfault to be resolved at 0x");
}

TEST_F(Fibers, AProcessThatEndsTakesItsThreadsAlong) {
    const int child = world.start_process();
    bool ran_on = false;
    // Its handle joins at the end of the test: by then the process has ended, and it with it.
    const auto doomed = kernel(child).spawn("doomed", [&] {
        (void)kernel(child).perform(Call::wait(~u64{0}));
        ran_on = true;
    });
    (void)perform(Call::wait(1));
    world.exit(child);
    EXPECT_EQ(perform(Call::wait(1000)).verdict, Verdict::timed_out);
    EXPECT_FALSE(ran_on);
}

/// The other end hears of it although a thread was waiting for the socket, and nobody unwound it.
TEST_F(Fibers, AKilledProcessHangsUpTheSocketThatItWaitedFor) {
    const int child = world.start_process();
    const auto [one, other] = world.socket_pair(0, child);
    const auto doomed = kernel(child).spawn("doomed", [&, other = other] {
        kernel::Wait wait{other};
        (void)kernel(child).perform(Call::wait(~u64{0}), {.waits = {&wait, 1}});
    });
    (void)perform(Call::wait(1));
    world.exit(child);
    kernel::Wait wait{one};
    must(Call::wait(0), {.waits = {&wait, 1}});
    EXPECT_TRUE(wait.hung_up);
    must(Call::close(one));
}

/// What it had begun to write lay on its stack, somebody else's by the time bytes are swept.
TEST_F(Fibers, AStoreThatAKilledProcessHadBegunIsForgotten) {
    const int child = world.start_process();
    kernel::Kernel& there = kernel(child);
    const auto at = static_cast<u64>(there.perform(Call::map(-1, 0, page_size, plain)).value);
    const auto uffd = static_cast<int>(there.perform(Call::uffd_open(0)).value);
    ASSERT_TRUE(
        there.perform(Call::uffd_register(uffd, at, page_size, RegisterMode::missing)).ok());
    const auto doomed = there.spawn("doomed", [&] { (void)there.perform(Call::store(at, 1)); });
    (void)perform(Call::wait(1));
    world.exit(child);
    for (u64 value = 1; value < 3000; ++value) {  // enough for a sweep
        store(app, value);
    }
    EXPECT_LT(world.versions_kept(), 3000U);
}

/// Found by swarm seed 1006060: the file that came last was taken for the mapping's own.
TEST_F(Fibers, AFileThatIsMadeWhileAMappingWaitsForItsReaderStays) {
    const Fd uffd = userfaultfd(Feature::event_unmap | Feature::wp_hugetlbfs_shmem);
    must(Call::uffd_register(uffd.get(), app, to_bytes(4), RegisterMode::write_protect));
    const auto mapper = kernel().spawn("mapper", [&] {
        must(Call::map(file.get(), 0, to_bytes(4), shared | MapFlag::fixed, app));
    });
    (void)perform(Call::wait(1));
    const Fd other = memfd(1);
    kernel::Event event;
    must(Call::uffd_read(uffd.get()), {.events = {&event, 1}});
    (void)perform(Call::wait(1));
    const u64 at = must(Call::map(other.get(), 0, page_size, shared));
    store(at, 5);
    EXPECT_EQ(load(at), 5U);
    EXPECT_EQ(must(Call::file_size(other.get())), page_size);
}

}  // namespace
}  // namespace verso::mm::sim
