// Orders to the other process, and its stamps brought back to the parent's clock.
#include "cli/bench/rows/child.h"

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/writer.h"

namespace verso::cli::bench {

Result<RemoteChild> RemoteChild::start(const std::string& name) {
    Result<ChildProcess> process = ChildProcess::start({name});
    if (!process)
        return pass(process);
    Result<Message> ready = process->receive();
    if (!ready)
        return pass(ready);
    return RemoteChild(std::move(*process));
}

Result<ExportTimes> RemoteChild::receive_fork(const Snapshot& snapshot) const {
    Result<Message> importing = process_.ask({'i', 0, 0});
    if (!importing)
        return pass(importing);
    // The child is about to wait in import(); being scheduled is not what is measured.
    sleep_ms(5);
    ExportTimes times;
    const u64 start = stamp_ns();
    Result<void> exported = snapshot.export_fork(process_.export_socket());
    times.call_ns = stamp_ns() - start;
    if (!exported)
        return pass(exported);
    Result<Message> first = process_.receive();
    if (!first)
        return pass(first);
    times.first_read_ns = first->a - start;
    return times;
}

Result<u64> RemoteChild::read_every_page() const {
    Result<Message> answer = process_.ask({'s', 0, 0});
    if (!answer)
        return pass(answer);
    return answer->a;
}

Result<void> RemoteChild::write_pages(u64 count, u64 seed) const {
    Result<Message> answer = process_.ask({'w', count, seed});
    if (!answer)
        return pass(answer);
    return {};
}

}  // namespace verso::cli::bench
