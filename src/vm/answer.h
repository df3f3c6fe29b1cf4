// When a guest answers on its console: the only sign of life that any guest can give to somebody
// who knows nothing about it. It is asked as a person would ask it, by a line that is typed, or it
// is only listened to.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace verso::vm {

struct Question {
    bool typed = false;  // false: nothing is typed, and `text` is waited for
    std::string line;    // typed, with Enter; may be empty: Enter alone
    std::string text;    // printed, it is the answer; empty: the first that is printed
    int timeout_ms = 60'000;
};
/// Refuses a question whose own echo would be taken for the answer.
Result<void> check_question(const Question& question);

/// A guest's first serial port, as long as this lives. Of clients QEMU serves one at a time.
class ConsoleTalk {
public:
    /// `socket`: the machine's console.sock. What is printed from then on is not missed.
    static Result<ConsoleTalk> open(const std::string& socket, int timeout_ms);
    /// Returns when the answer has been printed.
    Result<void> ask(const Question& question);

private:
    explicit ConsoleTalk(Fd socket) : socket_(std::move(socket)) {}
    Result<void> type(const std::string& line) const;

    Fd socket_;
};

}  // namespace verso::vm
