// What scripts/mutate runs in its tree.
//
//   verso_mutants judge WANTED CATALOGUE [SECONDS [PRESETS]]
//                 a line for each mutant: "17 killed TEXT PRESET", "18 survived 240 of 240",
//                 "19 unmet"
//   verso_mutants judge-anew …     the same; what is kept beside the texts is not asked for
//   verso_mutants grow WANTED CATALOGUE FOLDER SEED MINUTES [PRESETS]     see grow.cc
//   verso_mutants check CATALOGUE [PRESETS]       exit code 2: a text contradicts the model
#include <cstdlib>

#include <fmt/format.h>

#include "mm/rules.h"
#include "mutants/mutants.h"

extern "C" {
int verso_mutant = -1;
unsigned char verso_met[mutants_max] = {};
}

namespace verso::bench {
namespace {

int refuse(const std::string& message) {
    fmt::print(stderr, "verso_mutants: {}\n", message);
    return 2;
}

/// "6.18,5.7"; nothing: every preset.
std::vector<std::string> presets_of(std::string_view text) {
    std::vector<std::string> presets;
    for (const std::string& one : mm::preset_names()) {
        const std::string all = fmt::format(",{},", text);
        if (text.empty() || all.find(fmt::format(",{},", one)) != std::string::npos) {
            presets.push_back(one);
        }
    }
    return presets;
}

/// What stands behind the verb and the two files; the usual where nothing does.
double number_at(std::span<char* const> arguments, std::size_t at, double usual) {
    return at < arguments.size() ? std::strtod(arguments[at], nullptr) : usual;
}

int run(std::span<char* const> arguments) {
    const std::string_view verb = arguments.empty() ? "" : arguments[0];
    const bool checks = verb == "check" && arguments.size() >= 2;
    const bool anew = verb == "judge-anew";
    const bool judges = (verb == "judge" || anew) && arguments.size() >= 3;
    const bool grows = verb == "grow" && arguments.size() >= 6;
    if (!judges && !grows && !checks) {
        return refuse(
            "say: judge WANTED CATALOGUE [SECONDS [PRESETS]], grow WANTED CATALOGUE FOLDER SEED "
            "MINUTES [PRESETS], or check CATALOGUE [PRESETS]");
    }
    const Result<std::vector<check::CatalogueEntry>> texts =
        check::read_catalogue({arguments[checks ? 1 : 2]});
    if (!texts) {
        return refuse(texts.error().message);
    }
    const std::size_t last = checks ? 2 : judges ? 4 : 6;
    const Result<std::vector<Trial>> trials =
        measure(*texts, presets_of(last < arguments.size() ? arguments[last] : ""), !anew);
    if (!trials) {
        return refuse(trials.error().message);
    }
    if (checks) {
        return 0;
    }
    const Result<std::vector<Wanted>> wanted = read_wanted(arguments[1]);
    if (!wanted) {
        return refuse(wanted.error().message);
    }
    if (judges) {
        return judge(*trials, *wanted, number_at(arguments, 3, 0));
    }
    GrowOptions options;
    options.catalogue = arguments[2];
    options.folder = arguments[3];
    options.seed = static_cast<u64>(number_at(arguments, 4, 1));
    options.minutes = number_at(arguments, 5, 1);
    return grow(*trials, *wanted, options);
}

}  // namespace
}  // namespace verso::bench

int main(int count, char** arguments) {
    return verso::bench::run(
        std::span<char* const>(arguments, static_cast<std::size_t>(count)).subspan(1));
}
