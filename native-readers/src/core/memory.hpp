// Memory that a start has needed and a daemon at rest does not.
#pragma once

namespace readers {

// Collects the garbage of the calling thread's V8 heap, moves what is left together and gives the rest back to the kernel:
// 20 to 100 ms. Does nothing in a process that does not export V8.
void collect_garbage() noexcept;

// Gives back what malloc keeps for later, and lets go of the pages of node's program file.
//
// Node has 45 MB of its file mapped, most of them for its start. The pages are clean and stay in the page cache; those that
// are in use come back, for a minor fault per 64 kB.
void trim_memory() noexcept;

}  // namespace readers
