// Runs a command as a person would and keeps what it said; a folder that goes when the test ends.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <sys/wait.h>

namespace verso::test {

struct Ran {
    int code = -1;       // exit code; 128 + signal if it was killed
    std::string output;  // stdout, and stderr where the command redirects it
};

inline Ran run(const std::string& command) {
    Ran ran;
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) {
        ran.output = "the shell did not start";
        return ran;
    }
    char buffer[4096];
    for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
        ran.output.append(buffer, got);
    }
    const int status = ::pclose(pipe);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "verso-test-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) {
            path_ = name;
        }
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace verso::test
