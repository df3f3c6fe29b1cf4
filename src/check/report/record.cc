// Recording: the program runs on the model, and after each of its steps the machine is put into
// words. Between two steps every step of the model is watched: for the oracles, for the names of
// folios, and for the middle of what the kernel does in two halves.
#include <algorithm>
#include <cstring>

#include "abi/abi.h"
#include "base/check.h"
#include "check/program/where.h"
#include "check/report/meaning.h"
#include "check/report/oracles.h"
#include "check/report/tables.h"
#include "check/report/timeline.h"
#include "mm/sim/sim_world.h"

namespace verso::check::report {
namespace {

/// Room for three areas with gaps, twice over: mremap and COPY need some, too.
mm::Shape room_for(const Program& program) {
    mm::Shape shape = shape_for(program);
    const u32 unit = is_hugetlb(program.kind) || program.huge ? shape.huge_pages : 1;
    const u32 area = program.huge ? shape.huge_pages : program.pages * unit;
    shape.space_pages =
        std::max(shape.space_pages, static_cast<u32>(round_up(8 * area + 16 * unit, 64)));
    shape.pages = static_cast<u16>(std::max<u32>(shape.pages, 8 * area));
    shape.slots = static_cast<u16>(std::max<u32>(shape.slots, 4 * area));
    return shape;
}

bool begins_a_half(mm::Op op) {
    return op == mm::Op::migrate_begin || op == mm::Op::writeback_begin;
}

class Recorder final : public mm::sim::Watcher, public Onlooker {
public:
    Recorder(Timeline& timeline, const mm::Rules& rules)
        : timeline_(timeline),
          rules_(rules),
          world_(rules, room_for(timeline.program), choice_, {.watcher = this}) {}

    void run() {
        const Trace trace = check::run(world_, timeline_.program, this);
        timeline_.contents = trace.contents;
        timeline_.why_not = trace.why_not;
        for (std::size_t i = 0; i < trace.steps.size(); ++i) {
            note_unmet(i, trace.steps[i]);
        }
    }

    // Onlooker.
    void before(std::size_t step, const Layout& layout) override {
        set_areas(layout);
        if (timeline_.moments.empty()) {
            add(Moment{.title = "at first"});
        }
        step_ = step + 1;
        halved_ = false;
        playing_ = true;
        met_ = meet_step();
    }
    void after(std::size_t, const Layout& layout, const Seen& seen) override {
        set_areas(layout);
        playing_ = false;
        Moment moment = moment_of(halved_ ? 'b' : '\0', seen.outcome);
        moment.violations = oracles_.found(areas_);
        moment.meanwhile = seen.threads;
        add(std::move(moment));
    }
    /// Reading the contents may show what went wrong before.
    void at_the_end(const Layout& layout) override {
        playing_ = false;
        Moment moment{.step = timeline_.program.steps.size() + 1, .last = true};
        moment.violations = oracles_.found(areas_);
        if (!moment.violations.empty()) {
            set_areas(layout);
            moment.title = "every page is read";
            add(std::move(moment));
        }
    }

    // Watcher.
    void before(const mm::Machine& machine, const mm::Call& call) override {
        oracles_.before(machine, call);
    }
    void after(const mm::Machine& machine, const mm::Call& call,
               const mm::Outcome& outcome) override {
        oracles_.after(machine, call, outcome);
        names_.look(machine.state);
        if (playing_ && !halved_ && begins_a_half(call.op) &&
            outcome.verdict == mm::Verdict::done) {
            Moment moment = moment_of('a', "");
            moment.violations = oracles_.found(areas_);
            add(std::move(moment));
            halved_ = true;
            met_ = meet_step();
        }
    }
    void wrote(u8 file, u32 index, mm::Contents now) override { oracles_.wrote(file, index, now); }

private:
    const Step& step() const { return timeline_.program.steps[step_ - 1]; }

    void set_areas(const Layout& layout) {
        areas_.clear();
        threads_.clear();
        for (const auto& [name, number] : layout.threads) {
            if (const std::optional<u8> id = world_.model_thread(number)) {
                threads_.emplace_back(*id, name);
            }
        }
        const u32 unit = static_cast<u32>(to_pages(layout.unit));
        for (const int process : {0, layout.child}) {
            if (process < 0 || !world_.alive(process)) {
                continue;
            }
            for (const bool second : {false, true}) {
                const u64 address = second ? layout.second : layout.first;
                areas_.push_back({world_.space_of(process),
                                  static_cast<mm::Vpn>(to_pages(world_.to_model(process, address))),
                                  static_cast<u32>(layout.pages), unit,
                                  process == 0 ? "" : "child ", second});
            }
        }
    }

    /// The first page that the step is about.
    Met meet_step() const {
        const Step& now = step();
        const bool child = now.child && now.verb != Verb::exit;
        for (const Area& area : areas_) {
            if (area.whose.empty() != child && area.second == now.at.second &&
                now.at.first < area.pages) {
                return meet(world_.state(), area, now.at.first);
            }
        }
        return {};
    }

    Moment moment_of(char half, const std::string& outcome) {
        Moment moment;
        moment.step = step_;
        moment.half = half;
        Step bare = step();
        bare.expected.clear();
        moment.title = to_text(bare);
        const bool registers = step().verb == Verb::register_ && outcome.starts_with("done ");
        moment.outcome = half == 'a' ? "under way" : registers ? "done" : outcome;
        const Meaning meaning = meaning_of(step(), half, met_, meet_step(), outcome);
        moment.meaning = meaning.text;
        moment.kernel = meaning.kernel;
        return moment;
    }

    void add(Moment moment) {
        const auto value = [this](mm::Contents contents) {
            u64 first = 0;
            std::memcpy(&first, world_.bytes(contents).data(), sizeof first);
            return first;
        };
        const bool scans = (timeline_.program.features & abi::Feature::wp_async) != 0;
        moment.tables =
            tables_of(Scene{world_.state(), rules_, areas_, threads_, value, names_, scans});
        if (!timeline_.moments.empty()) {
            mark_changes(timeline_.moments.back(), moment);
        }
        timeline_.moments.push_back(std::move(moment));
    }

    void note_unmet(std::size_t index, const Seen& seen) {
        const Step& one = timeline_.program.steps[index];
        for (const std::string& word : one.expected) {
            if (!matches(one, seen, word)) {
                Moment* last = nullptr;
                for (Moment& moment : timeline_.moments) {
                    last = moment.step == index + 1 ? &moment : last;
                }
                VERSO_CHECK(last != nullptr, "step {} left no moment", index + 1);
                last->unmet += (last->unmet.empty() ? "" : ", ") + word;
            }
        }
    }

    Timeline& timeline_;
    const mm::Rules rules_;
    FirstChoice choice_;
    Names names_;
    Oracles oracles_;
    std::vector<Area> areas_;
    std::vector<std::pair<u8, std::string>> threads_;
    std::size_t step_ = 0;
    bool playing_ = false;
    bool halved_ = false;
    Met met_{};
    mm::sim::SimWorld world_;  // last: it shows its steps to the rest
};

}  // namespace

Timeline record(const Program& program, const mm::Rules& rules, std::string kernel) {
    VERSO_CHECK(program.pages <= pages_max, "a timeline of {} pages", program.pages);
    Timeline timeline;
    timeline.kernel = std::move(kernel);
    timeline.program = program;
    Recorder recorder(timeline, rules);
    recorder.run();
    return timeline;
}

}  // namespace verso::check::report
