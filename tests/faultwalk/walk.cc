// The walk: counting, the points, and one case in a process of its own. See the header.
#include "faultwalk/walk.h"

#include <csignal>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace verso::faultwalk {
namespace {

using kernel::Op;
using kernel::Outcome;

constexpr int case_ms_max = 20'000;
constexpr int slice_ms = 100;

struct Told {
    std::string text;
    bool ended = false;  // the child said all it had to say
};

/// Waits for the case to say something. In slices: where both of us are stopped for a while (a
/// shell's job control, a debugger), that is one slice and not the end of our patience.
bool speaks(int pipe) {
    for (int waited_ms = 0; waited_ms < case_ms_max; waited_ms += slice_ms) {
        pollfd waiting{pipe, POLLIN, 0};
        if (::poll(&waiting, 1, slice_ms) != 0) {
            return true;
        }
    }
    return false;
}

/// Runs `body` in a child of fork(2); its answer comes back through a pipe.
Told in_a_process(const std::function<std::string()>& body) {
    int ends[2];
    VERSO_CHECK(::pipe(ends) == 0, "pipe: {}", errno);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        std::thread([] {
        }).join();  // a sanitizer's own thread comes with the first: not ours to count
        expect_faults();
        const std::string text = body() + "\n";
        const ssize_t written = ::write(ends[1], text.data(), text.size());
        ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    Told told;
    while (true) {
        if (!speaks(ends[0])) {
            told.text += fmt::format("it hangs (pid {}): nothing happened for {} s", child,
                                     case_ms_max / 1000);
            ::kill(child, SIGKILL);
            break;
        }
        char buffer[4096];
        const ssize_t count = ::read(ends[0], buffer, sizeof buffer);
        if (count <= 0) {
            break;
        }
        told.text.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    told.ended = WIFEXITED(status) && WEXITSTATUS(status) == 0 && told.text.ends_with('\n');
    if (told.ended) {
        told.text.pop_back();
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        told.text += fmt::format("it crashed: {}", ::strsignal(WTERMSIG(status)));
    } else if (told.text.empty()) {
        told.text = fmt::format("it ended with status {:#x}", status);
    }
    return told;
}

bool background(Op op) { return op == Op::uffd_read || op == Op::wait; }

/// A page may be lost, loudly, where its storage fails; and where its last reader cannot read.
bool may_lose(const Scene& scene, const Point& point) {
    return scene.lossy ||
           (!point.spawn && (point.op == Op::file_write || point.op == Op::file_read));
}

std::string judge(const Error& error) {
    if (error.message.size() < 20 || error.message.find(' ') == std::string::npos) {
        return fmt::format("not a sentence: '{}'", error.message);
    }
    if (error.message.find("please report") != std::string::npos && error.os_error == 0) {
        return fmt::format("asks for a report without an errno: '{}'", error.message);
    }
    return {};
}

/// One case, in its own process. First character of the answer: r reached, f failed, - neither.
std::string play(const Scene& scene, const Point& point) {
    const Census before = Census::take();
    std::string wrong;
    char kind = '-';
    {
        World world;
        scene.prepare(world);
        if (point.spawn) {
            world.kernel.fail_spawn(point.nth);
        } else {
            kernel::FailurePlan plan;
            plan.nth = point.nth;
            plan.outcome = kernel::documented_failures(point.op)[point.answer];
            plan.only = point.op;
            world.kernel.fail(plan);
        }
        const Result<void> done = scene.act(world);
        world.kernel.stop_failing();
        kind = !done ? 'f' : world.kernel.delivered() > 0 ? 'r' : '-';
        if (!done) {
            wrong = judge(done.error());
        }
        if (wrong.empty()) {
            wrong = world.check(may_lose(scene, point));
            if (!wrong.empty() && !done) {
                wrong += " (after: " + done.error().message + ")";
            }
        }
        if (wrong.empty() && !done && scene.retry) {
            const Result<void> again = scene.act(world);
            if (!again) {
                wrong = fmt::format("the retry failed: {} (after: {})", again.error().message,
                                    done.error().message);
            }
        }
        if (wrong.empty()) {
            wrong = world.check_that_it_goes_on(may_lose(scene, point));
        }
        world.release();
    }
    if (wrong.empty()) {
        for (int i = 0; i < 200; ++i) {
            wrong = before.leaked(Census::take());
            if (wrong.empty()) {
                break;
            }
            ::usleep(1000);  // a joined thread leaves /proc a moment later
        }
        // A mapping whose unmapping is refused stays, whoever asked.
        if (!point.spawn && point.op == Op::unmap) {
            wrong.clear();
        }
    }
    return kind + wrong;
}

}  // namespace

std::string to_string(const Scene& scene, const Point& point) {
    if (point.spawn) {
        return fmt::format("{}:spawn:{}:0", scene.name, point.nth);
    }
    return fmt::format("{}:{}:{}:{}", scene.name, name_of(point.op), point.nth, point.answer);
}

Count count_calls(const Scene& scene) {
    const Told told = in_a_process([&] {
        World world;
        scene.prepare(world);
        std::map<Op, u64> counts;
        for (unsigned op = 0; op < kernel::op_count; ++op) {
            counts[static_cast<Op>(op)] = world.kernel.calls(static_cast<Op>(op));
        }
        world.kernel.fail_spawn(1'000'000);
        const Census before = Census::take();
        const Result<void> done = scene.act(world);
        std::string text;
        if (!done) {
            return "wrong " + done.error().message;
        }
        for (auto& [op, count] : counts) {
            const u64 made = world.kernel.calls(op) - count;
            text += fmt::format("{} {} ", static_cast<unsigned>(op), made);
        }
        const Census after = Census::take();
        const std::size_t threads =
            after.threads > before.threads ? after.threads - before.threads : 0;
        std::string wrong = world.check(scene.lossy);
        wrong = wrong.empty() ? world.check_that_it_goes_on(scene.lossy) : wrong;
        world.release();
        return wrong.empty() ? text + fmt::format("{} {} ", kernel::op_count, threads)
                             : "wrong " + wrong;
    });
    Count count;
    if (!told.ended || told.text.starts_with("wrong ")) {
        count.wrong = told.text;
        return count;
    }
    std::size_t at = 0;
    while (at < told.text.size()) {
        std::size_t used = 0;
        const unsigned long op = std::stoul(told.text.substr(at), &used);
        at += used;
        const unsigned long made = std::stoul(told.text.substr(at), &used);
        at += used + 1;
        if (op == kernel::op_count) {
            count.threads = made;
        } else if (made > 0) {
            count.calls[static_cast<Op>(op)] = made;
        }
    }
    return count;
}

std::vector<Point> points_of(const Scene& scene, const Count& count) {
    std::vector<Point> points;
    for (const auto& [op, made] : count.calls) {
        const u64 most = background(op) ? std::min<u64>(made, scene.background_max)
                                        : std::min<u64>(made, scene.calls_max);
        for (u64 nth = 1; nth <= most; ++nth) {
            for (std::size_t i = 0; i < kernel::documented_failures(op).size(); ++i) {
                points.push_back({op, nth, i, false});
            }
        }
    }
    for (u64 nth = 1; nth <= count.threads; ++nth) {
        points.push_back({Op{}, nth, 0, true});
    }
    return points;
}

Verdict run_case(const Scene& scene, const Point& point) {
    const Told told = in_a_process([&] { return play(scene, point); });
    Verdict verdict;
    if (!told.ended) {
        verdict.reached = true;
        verdict.wrong = told.text;
        return verdict;
    }
    verdict.reached = told.text[0] != '-';
    verdict.failed = told.text[0] == 'f';
    verdict.wrong = told.text.substr(1);
    return verdict;
}

}  // namespace verso::faultwalk
