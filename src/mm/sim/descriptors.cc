// Descriptors: see the header.
#include "mm/sim/descriptors.h"

#include <algorithm>
#include <cerrno>

namespace verso::mm::sim {

namespace {

/// One that sleeps in a fault makes no calls, the model says: what it is asked for then would not
/// happen.
bool can_call(const Thread& thread) { return thread.alive && thread.waiting == Waiting::no; }

}  // namespace

UserfaultObject::~UserfaultObject() {
    struct Range {
        u8 space;
        Vma vma;
    };
    std::vector<Range> watched;
    for (u8 space = 0; space < memory.state().spaces.size(); ++space) {
        for (const Vma& vma : memory.state().spaces[space].vmas) {
            if (vma.context == context) {
                watched.push_back({space, vma});
            }
        }
    }
    Call call{.op = Op::uffd_close, .fd = context};
    // Any thread that lives and is awake will do: closing is nobody's in particular.
    const auto& threads = memory.state().threads;
    const auto any = std::ranges::find_if(threads, can_call);
    if (any == threads.end()) {
        (void)uffd_close(memory.machine(), context);
    } else {
        call.thread = static_cast<u8>(any - threads.begin());
        const Outcome closed = memory.step(call);
        VERSO_CHECK(closed.verdict == Verdict::done, "closing: {}", to_string(closed));
    }
    for (const Range& range : watched) {  // it is an alias from here on
        memory.show(range.space, to_bytes(range.vma.start),
                    to_bytes(range.vma.end - range.vma.start));
    }
}

bool UserfaultObject::readable() const { return has_message(memory.state(), context); }

/// What is on the way to this end goes with it. In a loop: what a message carries may be a socket.
SocketObject::~SocketObject() {
    while (!inbox.empty()) {
        const Part part = std::move(inbox.front());
        inbox.pop_front();
    }
}

bool BundleObject::readable() const {
    return std::ranges::any_of(watched, [](const std::weak_ptr<Object>& one) {
        const ObjectRef object = one.lock();
        return object != nullptr && (object->readable() || object->hung_up());
    });
}

/// A pin outlives the process: then its page is one of those that are pinned and mapped nowhere.
PinObject::~PinObject() {
    auto& threads = memory.state().threads;
    const auto ours = std::ranges::find_if(
        threads, [&](const auto& one) { return can_call(one) && one.space == space; });
    for (const u64 address : pages) {
        Call call{.op = Op::gup_unpin};
        call.address = address;
        if (ours != threads.end()) {
            call.thread = static_cast<u8>(ours - threads.begin());
            (void)memory.step(call);
            continue;
        }
        auto& all = memory.state().pages;
        for (PageId id = 0; id < all.size(); ++id) {
            if (all[id].pins != 0 && rmap_walk(memory.state(), id).empty()) {
                --all[id].pins;
                put_page(memory.machine(), id);
                break;
            }
        }
    }
}

int Descriptors::add(int process, ObjectRef object) {
    VERSO_CHECK(next_ < size, "{} descriptors in one world", next_);
    const int number = base() + next_++;
    of_[process][number] = std::move(object);
    return number;
}

ObjectRef Descriptors::find(int process, int number) const {
    const auto names = of_.find(process);
    if (names == of_.end()) {
        return nullptr;
    }
    const auto found = names->second.find(number);
    return found == names->second.end() ? nullptr : found->second;
}

bool Descriptors::close(int process, int number) {
    const auto names = of_.find(process);
    if (names == of_.end()) {
        return false;
    }
    const auto found = names->second.find(number);
    if (found == names->second.end()) {
        return false;
    }
    const ObjectRef last = std::move(found->second);
    names->second.erase(found);  // the name goes first: ending an object may ask for others
    return true;
}

void Descriptors::copy_all(int from, int to) {
    const Names names = of_[from];
    of_[to] = names;
}

void Descriptors::close_all(int process) {
    const Names names = std::move(of_[process]);
    of_.erase(process);
}

std::size_t Descriptors::open(int process) const {
    const auto names = of_.find(process);
    return names == of_.end() ? 0 : names->second.size();
}

std::vector<int> Descriptors::open_numbers(int process) const {
    std::vector<int> numbers;
    const auto names = of_.find(process);
    if (names != of_.end()) {
        for (const auto& [number, object] : names->second) {
            numbers.push_back(number);
        }
    }
    return numbers;
}

/// Of the process that runs, or else of the only one that has it.
int Descriptors::close_number(int number) {
    if (close(process_(), number)) {
        return 0;
    }
    for (auto& [process, names] : of_) {
        if (names.contains(number)) {
            return close(process, number) ? 0 : -1;
        }
    }
    errno = EBADF;
    return -1;
}

}  // namespace verso::mm::sim
