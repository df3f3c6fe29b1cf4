// The driver.
#include "check/torture/torture.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "check/torture/disturbance.h"
#include "check/torture/instance.h"
#include "check/torture/writers.h"
#include "linux/linux_kernel.h"
#include "linux/world/text_file.h"

namespace verso::check::torture {
namespace {
constexpr unsigned glance_us = 50'000;
constexpr u64 say_every_ns = 10'000'000'000;

class Driver {
public:
    Driver(const Options& options, const Plan& plan, Shared& shared, Grounds& grounds)
        : options_(options), shared_(shared), grounds_(grounds) {
        report_.plan = plan;
    }
    ~Driver() { end_all(); }
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    Result<void> begin();
    void run();
    Report conclude();

private:
    bool wanted() const { return !options_.interrupted || !options_.interrupted(); }
    bool all_ready();
    void reap();
    void end_all();
    u64 left() const;
    void sample(Disturbance& disturbance);
    void wait_for_the_end(Disturbance& disturbance);
    void say(u64 begun_ns);

    const Options& options_;
    Shared& shared_;
    Grounds& grounds_;
    Report report_;
    std::vector<pid_t> living_;
    u64 oom_before_ = read_vmstat()["oom_kill"];
    u64 swap_free_before_ = 0;
    u64 last_sample_ns_ = 0;
    u64 last_said_ns_ = 0;
};

u64 of_meminfo(std::string_view name) {
    return host::number_after(host::read_text("/proc/meminfo"), name) * 1024;
}

Result<void> Driver::begin() {
    const u64 writers = options_.instances * writers_per_instance;
    const u64 processors = std::max(1U, std::thread::hardware_concurrency());
    InstanceOptions instance;
    instance.seed = options_.seed;
    instance.bytes = options_.bytes;
    instance.rest = 1 + 2 * writers / processors;  // a third of the processors is the writers'
    instance.door = grounds_.door();
    for (u64 number = 0; number < options_.instances; ++number) {
        instance.number = number;
        instance.behind_the_back = number == 0 ? options_.behind_the_back : nullptr;
        const pid_t pid = ::fork();
        if (pid == 0) {
            be_instance(instance, shared_);
        }
        if (pid < 0) {
            return fail(ErrorKind::resource, errno, "only {} instances could be started ({})",
                        number, std::strerror(errno));
        }
        living_.push_back(pid);
    }
    swap_free_before_ = of_meminfo("SwapFree:");
    return {};
}

u64 Driver::left() const {
    return static_cast<u64>(
        std::count_if(living_.begin(), living_.end(), [](pid_t pid) { return pid > 0; }));
}

/// An instance that ends before it has finished is a failure, whatever it ended of.
void Driver::reap() {
    for (u64 number = 0; number < living_.size(); ++number) {
        int status = 0;
        if (living_[number] <= 0 || ::waitpid(living_[number], &status, WNOHANG) <= 0) {
            continue;
        }
        living_[number] = -1;
        Slot& slot = shared_.slot(number);
        if (slot.finished.load() == 0) {
            slot.fail(fmt::format("round {}: its process ended, {}, {}", slot.round.load(),
                                  WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "by itself",
                                  slot.doing.load()));
        }
    }
}

void Driver::end_all() {
    for (pid_t& pid : living_) {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {}
        }
        pid = -1;
    }
}

bool Driver::all_ready() {
    reap();
    return shared_.header().ready.load() + (options_.instances - left()) >= options_.instances;
}

/// The brake: on while less is left than others need, or while the group has used up both memory
/// and swap; off again when there is twice as much.
void Driver::sample(Disturbance& disturbance) {
    Shared::Header& header = shared_.header();
    const u64 now = now_ns();
    const bool braked = header.brake.load() != 0;
    report_.braked_ms += braked ? (now - last_sample_ns_) / 1'000'000 : 0;
    last_sample_ns_ = now;
    const u64 available = of_meminfo("MemAvailable:");
    const u64 swap_free = of_meminfo("SwapFree:");
    const u64 factor = braked ? 2 : 1;
    const Plan& plan = report_.plan;
    host::MemoryGroup* const group = grounds_.group();
    const u64 used = group == nullptr ? 0 : group->used_bytes();
    report_.used_most_bytes = std::max(report_.used_most_bytes, used);
    report_.swapped_most_bytes = std::max(
        report_.swapped_most_bytes, swap_free_before_ - std::min(swap_free_before_, swap_free));
    const bool no_swap_left = swap_free < factor * std::max(plan.swap_bytes / 16, u64{1} << 25);
    const bool full = used > plan.memory_bytes - plan.memory_bytes / (10 / factor);
    const bool stalled = group != nullptr && group->is_stalled();
    if (stalled || no_swap_left) {
        disturbance.ease();
    }
    const bool wanted =
        available < factor * plan.reserve_bytes / 2 || (full && no_swap_left) || stalled;
    header.brake.store(wanted ? 1 : 0);
}

void Driver::say(u64 begun_ns) {
    const u64 now = now_ns();
    if (!options_.say || now - last_said_ns_ < say_every_ns) {
        return;
    }
    last_said_ns_ = now;
    options_.say(fmt::format(
        "{:4} s: {} verified, {} pages wrong, {} failures; {} snapshots, {} children, {} written",
        (now - begun_ns) / 1'000'000'000, as_text(shared_.total(Count::bytes_verified)),
        shared_.total(Count::pages_wrong) + shared_.total(Count::pages_lost),
        shared_.total(Count::failures), shared_.total(Count::snapshots),
        shared_.total(Count::children_here) + shared_.total(Count::children_elsewhere),
        as_text(to_bytes(shared_.total(Count::steps)))));
}

void Driver::run() {
    while (wanted() && !all_ready()) {
        ::usleep(glance_us);
    }
    const u64 begun_ns = now_ns();
    last_sample_ns_ = begun_ns;
    last_said_ns_ = begun_ns;
    const u64 spell_ms = std::clamp<u64>(options_.ms / 4, 1000, 20'000);
    shared_.header().stage.store(Stage::running);
    Disturbance disturbance(report_.plan, grounds_, shared_.header(), options_.seed, spell_ms);
    while (wanted() && left() > 0 && now_ns() - begun_ns < options_.ms * 1'000'000) {
        ::usleep(glance_us);
        sample(disturbance);
        reap();
        say(begun_ns);
    }
    report_.interrupted = !wanted();
    report_.ran_ms = (now_ns() - begun_ns) / 1'000'000;
    shared_.header().stage.store(Stage::ending);
    disturbance.stop();
    wait_for_the_end(disturbance);
    end_all();
    disturbance.end();
    report_.acted = disturbance.report();
    report_.spells = disturbance.spells();
}

/// Instances finish what they are at, and verify their own memory, which may be in swap. Who has
/// not come to an end by then is stuck: that is what lost wake-ups look like.
void Driver::wait_for_the_end(Disturbance& disturbance) {
    const u64 patience_ms = 60'000 + report_.plan.need_bytes / (u64{64} << 20) * 1000;
    const u64 until = now_ns() + patience_ms * 1'000'000;
    const auto patient = [&] { return now_ns() < until && !report_.interrupted; };
    while (left() > 0 && patient()) {
        ::usleep(glance_us);
        sample(disturbance);
        shared_.header().brake.store(0);  // nobody writes any more
        reap();
        report_.interrupted = report_.interrupted || !wanted();
    }
    for (u64 number = 0; number < living_.size() && !report_.interrupted; ++number) {
        if (living_[number] > 0) {
            Slot& slot = shared_.slot(number);
            slot.fail(fmt::format("round {}: stuck {}, {} s after the end", slot.round.load(),
                                  slot.doing.load(), patience_ms / 1000));
        }
    }
}

Report Driver::conclude() {
    for (u32 count = 0; count < count_number; ++count) {
        report_.counts[count] = shared_.total(static_cast<Count>(count));
    }
    Histogram during;
    Histogram between;
    for (u64 number = 0; number < options_.instances; ++number) {
        const Slot& slot = shared_.slot(number);
        for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
            during.add(slot.stores_during[writer]);
            between.add(slot.stores_between[writer]);
        }
        for (const auto& kept : slot.failures) {
            if (kept[0] != '\0') {
                report_.failures.push_back(fmt::format("instance {}, {}", number, kept.data()));
            }
        }
    }
    report_.stores_during = during.figures();
    report_.stores_between = between.figures();
    report_.killed_for_memory = read_vmstat()["oom_kill"] - oom_before_;
    return report_;
}
}  // namespace

Result<Report> torture(const Options& options) {
    const kernel::Abilities& can = host::linux_kernel().abilities();
    if (!can.userfaultfd || !can.write_protect_shmem || !can.minor_shmem) {
        return fail(ErrorKind::unsupported, 0,
                    "children in other processes need userfaultfd for shared memory, which is not "
                    "to be had here ({}); `verso doctor` says what to change",
                    can.why_no_userfaultfd);
    }
    Result<Plan> plan =
        plan_for(options.instances, options.bytes, means_of_this_machine(::geteuid() == 0));
    if (!plan) {
        return pass(plan);
    }
    Result<std::unique_ptr<Shared>> shared = Shared::make(options.instances);
    if (!shared) {
        return pass(shared);
    }
    Result<std::unique_ptr<Grounds>> grounds = Grounds::lay(*plan);
    if (!grounds) {
        return pass(grounds);
    }
    if (options.say) {
        options.say(fmt::format(
            "seed {}: {} instances of {} for {} s, reckoned at {}; there are {} of memory and {} "
            "of swap for them",
            options.seed, options.instances, as_text(options.bytes), options.ms / 1000,
            as_text(plan->need_bytes), as_text(plan->memory_bytes), as_text(plan->swap_bytes)));
    }
    Driver driver(options, *plan, **shared, **grounds);
    Result<void> begun = driver.begin();
    if (!begun) {
        return pass(begun);
    }
    driver.run();
    return driver.conclude();
}

}  // namespace verso::check::torture
