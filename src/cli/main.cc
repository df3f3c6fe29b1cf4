// The table of contents of `verso`: which verbs there are, and what each may be asked.
//
// Stand-in until the verbs arrive; see verbs.h.
#include <cstdio>
#include <cstring>

#include <fmt/core.h>

#include "cli/verbs.h"

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
        fmt::print("verso {}\n", VERSO_VERSION);
        return 0;
    }
    fmt::print(stderr, "verso: no such verb; see verso --help\n");
    return 2;
}
