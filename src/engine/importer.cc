// Importing a child: receive the offer, map its base file privately, send our userfaultfd back,
// run.
#include "engine/importer.h"

#include <array>

#include "engine/remote_filler.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;

namespace {

void tell_refusal(kernel::Kernel& kernel, int socket, const Error& error) {
    wire::Message refused;
    refused.kind = wire::Kind::refused;
    refused.text = error.message;
    (void)wire::send(kernel, socket, refused);
}

Result<std::shared_ptr<Region>> prepare(Runtime& runtime, Fd socket, wire::Received offer,
                                        const ImportOptions& options) {
    kernel::Kernel& kernel = runtime.kernel();
    const kernel::Abilities& can = kernel.abilities();
    if (!can.userfaultfd || !can.write_protect_shmem || !can.minor_shmem) {
        return fail(ErrorKind::unsupported, 0, "this process cannot import a child: {}",
                    can.userfaultfd ? "the kernel lacks userfaultfd for shared memory (needs 5.19)"
                                    : can.why_no_userfaultfd);
    }
    Result<Ancestry> ancestry = Ancestry::open(kernel, offer.message, std::move(offer.fds));
    if (!ancestry) {
        return pass(ancestry);
    }
    Region::ChildPlan plan;
    plan.base_file = offer.message.base_file;
    const bool live = plan.base_file == BaseFile::live;
    const Level& parent = ancestry->level(0);
    plan.file = live ? ancestry->root_live() : parent.frozen;
    plan.file_offset = live ? 0 : ancestry->layer_offset();
    plan.layer_file = live ? parent.frozen : -1;
    plan.layer_offset = ancestry->layer_offset();
    plan.pages = offer.message.pages;
    plan.name = options.name;
    plan.served_elsewhere = true;
    plan.address = reinterpret_cast<u64>(options.address);  // NOLINT
    if (plan.file < 0) {
        return fail(ErrorKind::peer, 0, "the offer shares a live file but brought none");
    }
    Result<std::shared_ptr<Region>> made = Region::make_child(runtime, plan);
    if (!made) {
        return made;
    }
    Region& child = **made;
    wire::Message ready;
    ready.kind = wire::Kind::ready;
    ready.address = child.base();
    ready.lifeline = child.target().lifeline;
    ready.text = options.name;
    const Fd us = wire::this_process(kernel);
    const std::array<int, 2> fds{child.uffd(), us.get()};
    const Outcome sent =
        wire::send(kernel, socket.get(), ready, std::span(fds).first(us.valid() ? 2 : 1));
    if (!sent.ok()) {
        return refuse(sent, "answering the exporting process");
    }
    Result<wire::Received> accepted =
        wire::receive(kernel, socket.get(), wire::Kind::accepted, options.timeout_ms);
    if (!accepted) {
        return pass(accepted);
    }
    const Result<void> started = child.start(std::make_unique<RemoteFiller>(
        kernel, std::move(socket), std::move(*ancestry), plan.base_file));
    if (!started) {
        return tl::unexpected<Error>(started.error());
    }
    return made;
}

}  // namespace

Result<std::shared_ptr<Region>> import_child(Runtime& runtime, int socket,
                                             const ImportOptions& options) {
    kernel::Kernel& kernel = runtime.kernel();
    const Outcome copied = kernel.perform(Call::duplicate(socket));
    if (!copied.ok()) {
        return fail(ErrorKind::invalid_argument, copied.error,
                    "descriptor {} is not a socket that can be kept: {}", socket,
                    kernel::to_string(copied));
    }
    Fd kept(static_cast<int>(copied.value));
    Result<wire::Received> offer =
        wire::receive(kernel, socket, wire::Kind::offer, options.timeout_ms);
    if (!offer) {
        return pass(offer, "waiting for a child to import");
    }
    Result<std::shared_ptr<Region>> made =
        prepare(runtime, std::move(kept), std::move(*offer), options);
    if (!made) {
        tell_refusal(kernel, socket, made.error());
    }
    return made;
}

}  // namespace verso::engine
