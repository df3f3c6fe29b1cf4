// The agent: a shared object that is preloaded into QEMU and gives Verso the guest's memory.
//
// QEMU maps the memfd of a memory-backend-memfd exactly once, MAP_SHARED. The agent sees that
// mmap(2) go by and
//
//   in a root VM  lets it happen, remembers where it is, and lends that memory to the page server
//                 when it is asked to (verso::lend): at once, and again if that server has died
//   in a child    maps the child there instead (Region::import): for QEMU its RAM is a mapping like
//                 any other, and every access of the guest's or of a device's is one of the Region
//
// Environment (taken out of it at once, so that what QEMU starts has no agent):
//   VERSO_AGENT_SOCKET  where it listens: see keeper.h; and {"do":"memory"}, {"do":"clock"},
//                       {"do":"lend"} + socket
//   VERSO_AGENT_NAME    the machine's
//   VERSO_AGENT_IMPORT  set in a child: its memory is offered at agent_import_fd
//
// All its threads have every signal blocked: QEMU means its signals for its own. Nothing of it is
// ever taken down: it ends with the process, whose memory then no longer changes.
#pragma once

namespace verso::vm {

inline constexpr const char* agent_socket_variable = "VERSO_AGENT_SOCKET";
inline constexpr const char* agent_name_variable = "VERSO_AGENT_NAME";
inline constexpr const char* agent_import_variable = "VERSO_AGENT_IMPORT";
inline constexpr const char* agent_file = "libverso-agent.so";
/// The descriptor that a child's QEMU finds its offer at.
inline constexpr int agent_import_fd = 60;

}  // namespace verso::vm
