// Everything that can be wrong with the request is said before anything is written.
#include "cli/explain.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check/litmus/catalogue.h"
#include "check/report/html.h"
#include "check/report/terminal.h"

namespace verso::cli {
namespace {

namespace report = check::report;

int refuse(const std::string& message) {
    // What points at a place in the text does so in further lines.
    fmt::print(stderr, "verso: {}\n", message.substr(0, message.find('\n')));
    return 2;
}

report::TerminalStyle style_of_stdout() {
    report::TerminalStyle style;
    if (::isatty(STDOUT_FILENO) != 1) {
        return style;
    }
    style.colours = ::getenv("NO_COLOR") == nullptr;
    winsize size{};
    // Why safe: fills in a struct that outlives the call.
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 60) {
        style.columns = size.ws_col;
    }
    return style;
}

Result<check::Litmus> read(const std::string& file) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "there is no file '{}'; name a .litmus file, for example one of litmus/", file);
    }
    Result<std::vector<check::CatalogueEntry>> texts = check::read_catalogue({file});
    if (!texts) {
        return pass(texts);
    }
    const check::Program& program = texts->front().litmus.program;
    if (program.pages > report::pages_max) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' has {} pages; at most {} can be shown, make it smaller", file,
                    program.pages, report::pages_max);
    }
    return texts->front().litmus;
}

}  // namespace

int explain(const ExplainOptions& options) {
    const std::optional<mm::Rules> rules = mm::preset(options.on);
    if (!rules) {
        return refuse(fmt::format("there is no preset '{}'; there are: {}", options.on,
                                  fmt::join(mm::preset_names(), ", ")));
    }
    const Result<check::Litmus> litmus = read(options.file);
    if (!litmus) {
        return refuse(litmus.error().message);
    }
    const report::Timeline timeline = report::record(litmus->program, *rules, options.on);
    if (options.html.empty()) {
        fmt::print("{}", report::to_terminal(timeline, litmus->title, style_of_stdout()));
        return timeline.why_not.empty() ? 0 : 1;
    }
    std::ofstream file(options.html);
    file << report::to_html(timeline, litmus->title,
                            fmt::format("{}", fmt::join(litmus->comments, " ")));
    if (!file.flush()) {
        return refuse(fmt::format("'{}' could not be written; is the disk full?", options.html));
    }
    return timeline.why_not.empty() ? 0 : 1;
}

}  // namespace verso::cli
