// How a row comes to its verdicts: the program on the model under two sets of rules.
#include "claims/claim.h"

#include "base/check.h"
#include "mm/sim/sim_world.h"

namespace verso::claims {
namespace {

std::vector<std::string> words_of(const std::string& text) {
    const Result<check::Program> program = check::parse("A: load -> " + text);
    VERSO_CHECK(program.has_value(), "'{}' are no words", text);
    return program->steps[0].expected;
}

/// Large enough for three areas of a few huge pages each.
mm::Shape room() {
    mm::Shape shape;
    shape.space_pages = 64;
    shape.pages = 64;
    shape.slots = 32;
    shape.threads_max = 6;  // those of a program, and one that reads its memory in the end
    return shape;
}

}  // namespace

std::string verdict_on(kernel::World& world, const std::string& text, const std::string& words) {
    const Result<check::Program> program = check::parse(text);
    if (!program) {
        return program.error().message;
    }
    const check::Trace trace = check::run(world, *program);
    if (!trace.why_not.empty()) {
        return "not run: " + trace.why_not;
    }
    const std::string unmet = check::unmet(*program, trace);
    if (!unmet.empty()) {
        return unmet;
    }
    for (const std::string& word : words_of(words)) {
        if (!check::matches(program->steps.back(), trace.steps.back(), word)) {
            return check::to_text(trace.steps.back());
        }
    }
    return words;
}

std::string verdict_on_model(const mm::Rules& with, const std::string& program,
                             const std::string& words) {
    FirstChoice choice;
    mm::sim::SimWorld world(with, room(), choice);
    return verdict_on(world, program, words);
}

mm::Rules rules(const std::function<void(mm::Rules&)>& change) {
    mm::Rules changed = mm::mainline();
    change(changed);
    return changed;
}
mm::Rules neither() { return mm::with_designs(mm::mainline(), false, false); }
mm::Rules only_writenotify() { return mm::with_designs(mm::mainline(), true, false); }
mm::Rules only_clears_w() { return mm::with_designs(mm::mainline(), false, true); }

Row by_program(Row row, const mm::Rules& on, const std::optional<mm::Rules>& off) {
    if (row.kernel.empty() && row.why_not_on_kernel.empty()) {
        row.kernel = row.on;
    }
    const std::string program = row.program;
    const std::string on_words = row.on;
    const std::string off_words = row.off;
    row.show = [=] {
        return Verdicts{verdict_on_model(on, program, on_words),
                        off ? verdict_on_model(*off, program, off_words) : std::string()};
    };
    return row;
}

Row on_model(Row row, std::string why_not_on_kernel, const mm::Rules& on,
             const std::optional<mm::Rules>& off) {
    row.why_not_on_kernel = std::move(why_not_on_kernel);
    return by_program(std::move(row), on, off);
}

Row by_search(Row row, std::function<Verdicts()> show, std::string why_not_on_kernel) {
    row.show = std::move(show);
    row.why_not_on_kernel = std::move(why_not_on_kernel);
    return row;
}

Row not_shown(Row row, std::string why) {
    row.why_not_shown = std::move(why);
    return row;
}

std::vector<Table> every_table() {
    return {designs(),      fixes(),     vm_page_prot(),
            unprotecting(), migration(), none_means_protected(),
            unpopulated(),  switches()};
}

}  // namespace verso::claims
