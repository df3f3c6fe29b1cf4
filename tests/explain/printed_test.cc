// The two ways in which a timeline is printed.
#include <algorithm>
#include <regex>

#include "check/report/html.h"
#include "check/report/terminal.h"
#include "explain/texts.h"

namespace verso::check::report {
namespace {

std::string html_of(std::string_view text, const std::string& kernel = "5.19") {
    return to_html(timeline_of(text, kernel), "a <title> & more", "what it shows");
}

/// Empty: every tag that is opened is closed, in order.
std::string fault_of(const std::string& html) {
    static const std::regex tag(R"re(<(/?)([a-z0-9]+)((?:\s+[a-z-]+="[^"<>]*")*)\s*(/?)>)re");
    std::vector<std::string> open;
    std::size_t tags = 0;
    for (auto it = std::sregex_iterator(html.begin(), html.end(), tag);
         it != std::sregex_iterator(); ++it, ++tags) {
        if ((*it)[4] == "/") {
            continue;
        }
        if ((*it)[1] != "/") {
            open.push_back((*it)[2]);
        } else if (open.empty() || open.back() != (*it)[2]) {
            return "closed without being open: " + it->str();
        } else {
            open.pop_back();
        }
    }
    const auto brackets = static_cast<std::size_t>(std::ranges::count(html, '<'));
    if (brackets != tags + 1) {  // and the DOCTYPE
        return "a < that begins no tag";
    }
    return open.empty() ? "" : "never closed: " + open.back();
}

TEST(Html, IsWellFormed) {
    EXPECT_EQ(fault_of(html_of(lost_write)), "");
    EXPECT_EQ(fault_of(html_of("A: store; fork; child store; reclaim", "6.18")), "");
}

TEST(Html, AFaultWouldBeFound) {
    EXPECT_NE(fault_of("<!DOCTYPE html>\n<p><b>a</p></b>"), "");
    EXPECT_NE(fault_of("<!DOCTYPE html>\n<p>a < b</p>"), "");
    EXPECT_NE(fault_of("<!DOCTYPE html>\n<p>"), "");
}

TEST(Html, NeedsNothingFromElsewhereAndNoScript) {
    const std::string html = html_of(lost_write);
    for (const char* outside : {"http:", "https:", "src=", "url(", "@import", "<script", "<link"}) {
        EXPECT_EQ(html.find(outside), std::string::npos) << outside;
    }
}

TEST(Html, EscapesWhatATextSays) {
    const std::string html = html_of("A: store");
    EXPECT_NE(html.find("<h1>a &lt;title&gt; &amp; more</h1>"), std::string::npos);
}

TEST(Html, MarksWhatAStepChanged) {
    const std::string html = html_of("A: store; store");
    EXPECT_NE(html.find("<span class=\"phrase changed-piece\">reads 2 <span class=\"was\">1<"),
              std::string::npos)
        << html;
    EXPECT_EQ(html_of("A: load; load").find("changed-piece\">reads"), std::string::npos);
}

TEST(Html, NamesTheBrokenPromiseInTheColumnOfItsStep) {
    EXPECT_NE(html_of(lost_write).find("✗ lost write"), std::string::npos);
    EXPECT_EQ(html_of(lost_write, "6.18").find("✗ lost write"), std::string::npos);
}

TEST(Terminal, MarksWhatAStepChanged) {
    const std::string text = to_terminal(timeline_of("A: store; store"), "title", {});
    EXPECT_NE(text.find("   ~ page 0"), std::string::npos) << text;
    EXPECT_NE(text.find("   + folio A"), std::string::npos) << text;
    EXPECT_NE(text.find("reads 2 (was 1)"), std::string::npos) << text;
}

TEST(Terminal, HasColoursOnlyWhereAsked) {
    const Timeline timeline = timeline_of("A: store");
    EXPECT_EQ(to_terminal(timeline, "title", {}).find('\033'), std::string::npos);
    EXPECT_NE(to_terminal(timeline, "title", {.colours = true}).find('\033'), std::string::npos);
}

TEST(Terminal, SaysWhatWasBroken) {
    const std::string text = to_terminal(timeline_of(lost_write, "5.19"), "title", {});
    EXPECT_NE(text.find("! lost write (I9)"), std::string::npos) << text;
    EXPECT_NE(text.find("? protected, yet writable (I1)"), std::string::npos) << text;
}

}  // namespace
}  // namespace verso::check::report
