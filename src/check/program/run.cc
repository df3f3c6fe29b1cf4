// The runner: lays out two areas and a page to copy from, opens userfaultfds when they are first
// needed, performs one step after another, and looks at the pages after each.
//
//   │ gap │ first area │ gap │ second area │ gap │ source │ gap │      gaps stay unmapped
//
// An area is a whole huge page and starts at one where the program asks for that, so that what
// 4 KiB pages do and what huge pages do is told apart by the program alone.
#include <array>
#include <optional>

#include "base/check.h"
#include "check/program/calls.h"
#include "check/program/file.h"
#include "check/program/look.h"
#include "check/program/run.h"
#include "check/program/said.h"
#include "check/program/threads.h"
#include "check/program/userfaultfd.h"
#include "kernel/half.h"

namespace verso::check {
namespace {

using kernel::Call;
using kernel::Kernel;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Payload;

class Runner {
public:
    Runner(kernel::World& world, const Program& program, Onlooker* onlooker)
        : world_(world),
          program_(program),
          onlooker_(onlooker),
          threads_(world, [this](auto&&... of) { return finish(of...); }) {}

    Trace run() {
        make_threads();
        lay_out();
        for (std::size_t i = 0; i < program_.steps.size() && trace_.why_not.empty(); ++i) {
            Seen seen;
            number_ = i + 1;
            if (onlooker_ != nullptr) {
                onlooker_->before(i, layout());
            }
            seen.outcome = step(program_.steps[i]);
            if (!trace_.why_not.empty()) {
                break;
            }
            // After a call that hangs there is nobody to ask: who made it was ended. After one that
            // was only begun, what is there changes while one looks.
            const bool hung = seen.outcome == hangs;
            const bool still = !hung && seen.outcome != "begun";
            if (still) {
                seen.threads = threads_.settle();
            }
            if (onlooker_ != nullptr) {
                onlooker_->after(i, layout(), seen);
            }
            if (still) {
                look(seen);
            }
            trace_.steps.push_back(std::move(seen));
            if (hung) {
                return std::move(trace_);
            }
        }
        if (trace_.why_not.empty()) {
            read_all(0);
            read_all(child_);
        }
        if (onlooker_ != nullptr) {
            onlooker_->at_the_end(layout());
        }
        return std::move(trace_);
    }

private:
    void give_up(std::string why) {
        if (trace_.why_not.empty()) {
            trace_.why_not = std::move(why);
        }
    }
    Kernel& in(int process) { return world_.process(process); }
    /// What programs take for granted; where it fails, there is no program.
    u64 must(const Outcome& outcome, const char* what) {
        if (!outcome.ok()) {
            give_up(fmt::format("{}: {}", what, kernel::to_string(outcome)));
        }
        return static_cast<u64>(outcome.value);
    }

    void make_threads() {
        u32 first = has_sleepers(program_) ? 0 : 1;
        for (const Step& step : program_.steps) {
            if (!step.child && step.thread >= first && trace_.why_not.empty()) {
                note(threads_.prepare(0, step.thread));
            }
        }
    }
    void note(const Result<void>& result) {
        if (!result) {
            give_up(result.error().message);
        }
    }

    Layout layout() const { return {unit_, pages_, first_, second_, child_, threads_.names()}; }

    void lay_out() {
        const u64 huge = world_.huge_page_size();
        unit_ = is_hugetlb(program_.kind) ? huge : page_size;
        length_ = program_.huge ? huge : program_.pages * unit_;
        pages_ = program_.huge ? 2 : program_.pages;
        const u64 step = program_.huge || is_hugetlb(program_.kind) ? huge : page_size;
        const u64 whole = 3 * length_ + 6 * step;
        const Outcome apart = in(0).perform(Call::map(-1, 0, whole, MapFlag::read, world_.apart()));
        const u64 base = apart.ok()  // else something is there already
                             ? static_cast<u64>(apart.value)
                             : must(in(0).perform(Call::map(-1, 0, whole, MapFlag::read)), "map");
        if (!trace_.why_not.empty()) {
            return;
        }
        must(in(0).perform(Call::unmap(base, whole)), "unmap");
        first_ = round_up(base, step) + step;
        second_ = first_ + length_ + step;
        source_ = second_ + length_ + step;
        u64 flags =
            read_write | MapFlag::fixed | (is_shared(program_.kind) ? MapFlag::shared : u64{0});
        if (program_.kind != Kind::A) {
            const Result<int> made = make_file(in(0), program_.kind, length_);
            if (!made) {
                return give_up(made.error().message);
            }
            file_ = *made;
        }
        must(in(0).perform(Call::map(file_, 0, length_, flags, first_)), "map the area");
    }

    /// The userfaultfd of a step, opened when first asked for. A child has the descriptors that its
    /// parent had when it was forked, and no others.
    int uffd(bool other, bool child = false) {
        int& fd = (child ? inherited_ : uffds_)[other ? 1U : 0U];
        if (fd >= 0) {
            return fd;
        }
        if (child) {
            give_up("a child asks for a userfaultfd that was not open when it was forked");
            return -1;
        }
        const Result<int> opened = open_userfaultfd(in(0), program_);
        if (!opened) {
            give_up(opened.error().message);
        }
        fd = opened.value_or(-1);
        return fd;
    }

    u64 address(const Place& at) const {
        return (at.second ? second_ : first_) + at.first * unit_ + (at.askew ? unit_ / 2 : 0);
    }
    u64 bytes(const Place& at) const {
        return at.count == 0 ? length_ - at.first * unit_ : at.count * unit_;
    }

    std::string step(const Step& step);
    Call call_of(const Step& step, Kernel& kernel);
    Call uffd_call(const Step& step, Kernel& kernel, u64 at, u64 length);
    std::string fill_or_call(const Step& step, Kernel& kernel, int process);
    std::string fork();
    std::string finish(const Step& step, int process, const Outcome& outcome);
    std::string by_thread(const Step& step, int process, const Call& call);
    std::string messages(const Step& step);
    std::string provoke(const Step& step, int process);
    std::string word(const Step& step, const Outcome& outcome) const {
        return word_of(step.verb, outcome, unit_);
    }
    void look(Seen& seen);
    std::vector<PageFacts> facts(int process, u64 from) {
        const Result<std::vector<PageFacts>> found = facts_of(in(process), from, pages_, unit_);
        if (!found) {
            give_up(found.error().message);
        }
        return found.value_or(std::vector<PageFacts>{});
    }
    void read_all(int process);

    kernel::World& world_;
    const Program& program_;
    Onlooker* const onlooker_;
    Trace trace_;
    u64 unit_ = page_size;
    u64 length_ = 0;
    u64 pages_ = 1;  // that are looked at
    u64 first_ = 0;
    u64 second_ = 0;
    u64 source_ = 0;
    bool source_mapped_ = false;
    bool second_used_ = false;
    int file_ = -1;
    int pin_ = -1;
    int child_ = -1;
    std::array<int, 2> uffds_ = {-1, -1};
    std::array<int, 2> inherited_ = {-1, -1};  // by the child
    u64 number_ = 0;                           // of the step: what it stores
    Threads threads_;
};

Call Runner::uffd_call(const Step& step, Kernel& kernel, u64 at, u64 length) {
    const int fd = uffd(step.other, step.child);
    if (!trace_.why_not.empty()) {
        return {};
    }
    if (const std::optional<Call> plain = range_call(step, fd, at, length)) {
        return *plain;
    }
    if (step.verb == Verb::move) {
        return Call::uffd_move(fd, at, length, second_ + step.at.first * unit_, step.mode);
    }
    if (step.verb == Verb::close) {
        (step.child ? inherited_ : uffds_)[step.other ? 1U : 0U] = -1;
        return Call::close(fd);
    }
    VERSO_CHECK(step.verb == Verb::copy, "verb {} is no call", static_cast<unsigned>(step.verb));
    if (!source_mapped_) {
        const u64 flags = read_write | MapFlag::fixed;
        must(kernel.perform(Call::map(-1, 0, length_, flags, source_)), "map the source");
        source_mapped_ = true;
    }
    const u64 value = step.value != 0 ? step.value : number_;
    for (u64 from = 0; from < length; from += unit_) {
        must(kernel.perform(Call::store(source_ + from, value)), "fill the source");
    }
    return Call::uffd_copy(fd, at, length, source_, step.mode);
}

Call Runner::call_of(const Step& step, Kernel& kernel) {
    Where where;
    where.at = address(step.at);
    where.length = bytes(step.at);
    where.unit = unit_;
    where.second = second_ + step.at.first * unit_;
    where.whole = length_;
    where.file = file_;
    where.offset = step.at.first * unit_;
    where.pin = pin_;
    where.value = step.value != 0 ? step.value : number_;
    if (const std::optional<Call> plain = plain_call(step, where)) {
        return *plain;
    }
    return uffd_call(step, kernel, where.at, where.length);
}

std::string Runner::fill_or_call(const Step& step, Kernel& kernel, int process) {
    if (step.verb == Verb::file_write) {
        const u64 value = step.value != 0 ? step.value : number_;
        Payload payload;
        payload.in = std::as_bytes(std::span(&value, 1));
        const u64 offset = step.at.first * unit_;
        return word(step, kernel.perform(Call::file_write(file_, offset, sizeof value), payload));
    }
    const Call call = call_of(step, kernel);
    if (!trace_.why_not.empty()) {
        return {};
    }
    const bool may_wait = has_sleepers(program_) && !is_uffd_ioctl(step.verb);
    if (step.thread != 0 || may_wait) {
        return by_thread(step, process, call);
    }
    return finish(step, process, kernel.perform(call));
}

std::string Runner::finish(const Step& step, int process, const Outcome& outcome) {
    if (step.verb == Verb::pin && outcome.ok()) {
        pin_ = static_cast<int>(outcome.value);
    }
    if (step.verb == Verb::fork && outcome.ok()) {
        child_ = static_cast<int>(outcome.value);
        inherited_ = uffds_;
    }
    const bool fills_second = step.verb == Verb::remap || step.verb == Verb::map;
    second_used_ = second_used_ || (fills_second && process == 0 && outcome.ok());
    return word(step, outcome);
}

std::string Runner::by_thread(const Step& step, int process, const Call& call) {
    const Result<std::string> outcome = threads_.begin(step, process, call);
    if (!outcome) {
        give_up(outcome.error().message);
    }
    return outcome.value_or(std::string());
}

std::string Runner::messages(const Step& step) {
    std::array<kernel::Event, 64> events;
    Payload payload;
    payload.events = events;
    const int fd = uffd(step.other);
    if (!trace_.why_not.empty()) {
        return {};
    }
    const Outcome outcome =
        in(0).perform(Call{.op = kernel::Op::uffd_read, .fd = fd, .aux = step.mode}, payload);
    if (!outcome.ok() && outcome.verdict != kernel::Verdict::would_block) {
        return word(step, outcome);
    }
    const auto count = outcome.ok() ? static_cast<std::size_t>(outcome.value) : 0;
    for (std::size_t i = 0; step.mode != 0 && i < count; ++i) {
        uffds_[1] = events[i].kind == kernel::EventKind::forked ? static_cast<int>(events[i].length)
                                                                : uffds_[1];
    }
    return what_is_said(std::span(events).first(count), {first_, second_, length_, unit_});
}

std::string Runner::fork() {
    const Result<int> forked = world_.fork(0);
    if (!forked) {
        give_up(forked.error().message);
        return {};
    }
    child_ = *forked;
    inherited_ = uffds_;
    return "done";
}

std::string Runner::provoke(const Step& step, int process) {
    const auto trigger = static_cast<kernel::Trigger>(step.mode);
    const kernel::Provoked provoked =
        world_.provoke(process, trigger, address(step.at), bytes(step.at));
    if (!provoked.acted) {
        give_up(fmt::format("{}: {}", to_text(step), provoked.why_not));
    } else if (trigger == kernel::trigger_of(kernel::Half::at_the_end)) {
        second_ = world_.end() - length_;
    }
    return "done";
}

std::string Runner::step(const Step& step) {
    if (step.child && child_ < 0) {
        give_up("a step of a child that was not forked");
        return {};
    }
    const int process = step.child ? child_ : 0;
    if (step.verb == Verb::fork) {
        return step.thread != 0 || has_sleepers(program_) ? by_thread(step, process, {}) : fork();
    }
    if (step.verb == Verb::messages) {
        return messages(step);
    }
    if (step.verb == Verb::exit) {
        world_.exit(process);
        threads_.forget(process);
        child_ = -1;
        return "done";
    }
    if (step.verb == Verb::provoke) {
        return provoke(step, process);
    }
    if (step.verb == Verb::scan || step.verb == Verb::arm) {
        const Scanned scanned = scan(in(process), step, address(step.at), bytes(step.at));
        if (!scanned.outcome.ok()) {
            return word(step, scanned.outcome);
        }
        return scanned.text(step, bytes(step.at), program_.huge ? 0 : unit_);
    }
    return fill_or_call(step, in(process), process);
}

void Runner::look(Seen& seen) {
    seen.first = facts(0, first_);
    if (second_used_) {
        seen.second = facts(0, second_);
    }
    if (child_ >= 0) {
        seen.child = facts(child_, first_);
    }
}

void Runner::read_all(int process) {
    for (u64 i = 0; process >= 0 && i < pages_; ++i) {
        const Call load = Call::load(first_ + i * unit_);
        if (!has_sleepers(program_)) {
            trace_.contents.push_back(word(Step{}, in(process).perform(load)));
            continue;
        }
        const Result<std::string> seen = threads_.look(process, load);
        if (!seen) {
            give_up(seen.error().message);
            return;
        }
        trace_.contents.push_back(*seen);
    }
}

}  // namespace

Trace run(kernel::World& world, const Program& program, Onlooker* onlooker) {
    return Runner(world, program, onlooker).run();
}

}  // namespace verso::check
