// What a peer does with each order: see peer.h.
#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "api/api.h"
#include "engine/importer.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"
#include "support/contents.h"
#include "support/peer.h"
#include "verso/verso.hpp"

namespace verso::test {
namespace {

constexpr int timeout_ms = 10'000;

struct Held {
    std::optional<Region> region;
    u64 seed = 0;
};

/// A kernel of the peer's own, for peers that lack something or die at a chosen call.
struct OwnKernel {
    explicit OwnKernel(const host::Mask& mask) : host(mask) {}
    host::LinuxKernel host;
    kernel::FailingKernel kernel{host};
    engine::Runtime runtime{kernel};
};

class Interpreter {
public:
    Answer run(const Order& order, Fd socket);

private:
    engine::Runtime& runtime() const { return own_ != nullptr ? own_->runtime : process_runtime(); }
    OwnKernel& own(const host::Mask& mask = {});
    void die_at(u64 call);
    Answer become(const Order& order);
    Answer lose(const Order& order);
    Answer make(const Order& order, const Fd& socket);
    Answer act(const Order& order, const Fd& socket);
    Answer lend_memory(const Order& order, const Fd& socket);
    Answer whole_lent() const;
    Answer keep(Result<Region> made, u64 seed);
    void churn(std::span<std::byte> bytes, u64 seed);
    u64 rest();

    OwnKernel* own_ = nullptr;  // never destroyed, as everything here
    std::atomic<u64> calls_left_{0};
    std::vector<Held> regions_;
    std::vector<std::optional<Snapshot>> snapshots_;
    std::optional<Loan> loan_;
    std::span<std::byte> lent_;
    u64 lent_seed_ = 0;
    std::thread churner_;
    std::atomic<bool> resting_{false};
    std::atomic<u64> churned_{0};
};

Answer yes(u64 value = 0) {
    Answer answer;
    answer.ok = true;
    answer.value = value;
    return answer;
}
Answer no(const Error& error) {
    Answer answer;
    std::strncpy(answer.text.data(), error.message.c_str(), answer.text.size() - 1);
    return answer;
}
Result<Region> wrapped(Result<std::shared_ptr<engine::Region>> made) {
    if (!made) {
        return tl::unexpected<Error>(made.error());
    }
    return wrap(std::move(*made));
}
template <class T>
Answer outcome_of(const Result<T>& result) {
    return result ? yes() : no(result.error());
}
Answer counted(const Tally& seen) {
    Answer answer = yes(seen.first_wrong);
    answer.right = seen.right;
    answer.wrong = seen.wrong;
    answer.lost = seen.lost;
    return answer;
}

OwnKernel& Interpreter::own(const host::Mask& mask) {
    if (own_ == nullptr) {
        own_ = new OwnKernel(mask);
    }
    return *own_;
}

void Interpreter::die_at(u64 call) {
    calls_left_.store(call);
    own().kernel.set_hook([this](const kernel::Call&) {
        if (calls_left_.fetch_sub(1) == 1) {
            (void)::kill(::getpid(), SIGKILL);
        }
    });
}

/// setuid(2) makes a process as closed as one that was privileged must be; one that was started by
/// an ordinary user may look at itself in /proc.
Answer drop_privilege() {
    constexpr unsigned nobody = 65'534;
    if (::geteuid() == 0) {
        const bool dropped = ::setgroups(0, nullptr) == 0 && ::setgid(nobody) == 0 &&
                             ::setuid(nobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0 &&
                             ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
        if (!dropped) {
            return no(Error{ErrorKind::system, errno, "dropping privileges"});
        }
    }
    return yes(process_runtime().kernel().abilities().user_mode_only ? 1 : 0);
}

Answer fork_bystander() {
    constexpr unsigned longest_seconds = 600;
    const pid_t child = ::fork();
    if (child == 0) {
        (void)::alarm(longest_seconds);
        while (true) {
            ::pause();
        }
    }
    return yes(static_cast<u64>(child));
}

Answer Interpreter::become(const Order& order) {
    if (order.verb == Verb::drop_privilege) {
        return drop_privilege();
    }
    if (order.verb == Verb::lack_poison) {
        lost_is_segv.store(true);
        (void)own(host::Mask{.no_poison = true});
        return yes();
    }
    die_at(order.version);
    return yes();
}

Answer Interpreter::lose(const Order& order) {
    own().kernel.fail({.nth = 1,
                       .outcome = {kernel::Verdict::no_memory, ENOSPC, 0, 0},
                       .only = kernel::OpSet{kernel::Op::uffd_copy, kernel::Op::file_write},
                       .times = 1'000'000});
    const Held& held = regions_.at(order.region);
    write_all(held.region->bytes(), held.seed, 1);
    own().kernel.stop_failing();
    return yes();
}

Answer Interpreter::keep(Result<Region> made, u64 seed) {
    if (!made) {
        return no(made.error());
    }
    regions_.push_back({std::move(*made), seed});
    return yes(regions_.size() - 1);
}

void Interpreter::churn(std::span<std::byte> bytes, u64 seed) {
    churner_ = std::thread([this, bytes, seed] {
        Random random(seed);
        u64 version = 1;
        do {  // once at least, however soon the rest is ordered
            write_page(bytes, seed, random.below(to_pages(bytes.size())), version++);
            churned_.fetch_add(1);
        } while (!resting_.load());
    });
}

u64 Interpreter::rest() {
    resting_.store(true);
    if (churner_.joinable()) {
        churner_.join();
    }
    resting_.store(false);
    return churned_.load();
}

Answer Interpreter::lend_memory(const Order& order, const Fd& socket) {
    const std::size_t bytes = to_bytes(order.pages);
    static const int memfd = ::memfd_create("lent", MFD_CLOEXEC);
    if (::ftruncate(memfd, static_cast<off_t>(bytes)) != 0) {
        return no(Error{ErrorKind::system, errno, "ftruncate"});
    }
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    lent_ = {static_cast<std::byte*>(at), bytes};
    lent_seed_ = order.seed;
    write_all(lent_, order.seed, 0);
    AdoptOptions memory;
    memory.memfd = memfd;
    memory.address = at;
    memory.size = bytes;
    Result<Loan> loan = lend(socket.get(), memory,
                             order.version == 1 ? OnEngineDeath::kill : OnEngineDeath::resume);
    if (!loan) {
        return no(loan.error());
    }
    loan_ = std::move(*loan);
    return yes();
}

Answer Interpreter::whole_lent() const {
    Answer answer = yes();
    Page seen;
    for (u64 page = 0; page < to_pages(lent_.size()); ++page) {
        const bool whole = load_page(lent_.data() + to_bytes(page), seen) && is_some_page(seen);
        (whole ? answer.right : answer.wrong) += 1;
    }
    return answer;
}

Answer Interpreter::make(const Order& order, const Fd& socket) {
    if (order.verb == Verb::create) {
        Answer answer =
            keep(wrapped(engine::Region::create(runtime(), {.size = to_bytes(order.pages)})),
                 order.seed);
        if (answer.ok) {
            write_all(regions_.back().region->bytes(), order.seed, 0);
        }
        return answer;
    }
    if (order.verb == Verb::import) {
        return keep(wrapped(engine::import_child(runtime(), socket.get(), {})), order.seed);
    }
    if (order.verb == Verb::attach) {
        return keep(
            wrapped(engine::Region::attach(runtime(), socket.get(), "attached", timeout_ms)),
            order.seed);
    }
    if (order.verb == Verb::fork) {
        return keep(snapshots_.at(order.snapshot)->fork(), order.seed);
    }
    Result<Snapshot> taken = regions_.at(order.region).region->snapshot();
    if (!taken) {
        return no(taken.error());
    }
    snapshots_.emplace_back(std::move(*taken));
    return yes(snapshots_.size() - 1);
}

Answer Interpreter::act(const Order& order, const Fd& socket) {
    switch (order.verb) {
        case Verb::write: {
            const Held& held = regions_.at(order.region);
            write_all(held.region->bytes(), held.seed, order.version);
            return yes();
        }
        case Verb::churn:
            churn(regions_.at(order.region).region->bytes(), regions_.at(order.region).seed);
            return yes();
        case Verb::churn_lent: churn(lent_, lent_seed_); return yes();
        case Verb::rest: return yes(rest());
        case Verb::export_fork:
            return outcome_of(snapshots_.at(order.snapshot)->export_fork(socket.get()));
        case Verb::check: {
            const Held& held = regions_.at(order.region);
            return counted(tally(held.region->bytes(), held.seed, order.version));
        }
        case Verb::whole_lent: return whole_lent();
        case Verb::check_lent: return counted(tally(lent_, lent_seed_, order.version));
        case Verb::check_snapshot: {
            const auto bytes = snapshots_.at(order.snapshot)->bytes();
            return bytes ? counted(tally(*bytes, order.seed, order.version)) : no(bytes.error());
        }
        case Verb::rewind:
            return outcome_of(
                regions_.at(order.region).region->rewind(*snapshots_.at(order.snapshot)));
        case Verb::detach: return outcome_of(snapshots_.at(order.snapshot)->detach());
        case Verb::lend: return lend_memory(order, socket);
        case Verb::end_loan: loan_.reset(); return yes();
        case Verb::drop_region: regions_.at(order.region).region.reset(); return yes();
        case Verb::drop_snapshot: snapshots_.at(order.snapshot).reset(); return yes();
        case Verb::services: return yes(runtime().services());
        case Verb::drop_privilege:
        case Verb::lack_poison:
        case Verb::die_at: return become(order);
        case Verb::fork_bystander: return fork_bystander();
        case Verb::lose: return lose(order);
        case Verb::create:
        case Verb::snapshot:
        case Verb::fork:
        case Verb::import:
        case Verb::attach: break;
    }
    return make(order, socket);
}

Answer Interpreter::run(const Order& order, Fd socket) { return act(order, socket); }

}  // namespace

void detail::be_a_peer(int socket) {
    auto* const interpreter = new Interpreter;  // never destroyed: the process just ends
    Order order;
    Fd fd;
    while (receive_order(socket, order, fd)) {
        send_answer(socket, interpreter->run(order, std::exchange(fd, Fd())));
    }
    ::_exit(0);
}

}  // namespace verso::test
