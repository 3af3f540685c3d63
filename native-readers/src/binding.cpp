// Node-API surface of the readers. The only file that includes node_api.h: it checks and converts arguments, nothing else.
//
// Everything a call needs comes in as arguments or hangs on the instance (one per thread that loaded the addon); results
// go into arrays of the caller. src/readers/native.ts is the only caller and documents each function's meaning there.

#define NAPI_VERSION 8
#include <malloc.h>
#include <node_api.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "core/deflate.hpp"
#include "core/memory.hpp"
#include "core/page_deflate.hpp"
#include "readers/clock.hpp"
#include "readers/device_call.hpp"
#include "readers/lane.hpp"
#include "readers/listeners.hpp"
#include "readers/machine.hpp"
#include "readers/merge.hpp"
#include "readers/mounts.hpp"
#include "readers/netlink.hpp"
#include "readers/page.hpp"
#include "readers/perf_events.hpp"
#include "readers/replay.hpp"
#include "readers/rows.hpp"
#include "readers/source.hpp"
#include "readers/source_set.hpp"
#include "readers/watch.hpp"
#include "readers/tasks.hpp"
#include "readers/view_build.hpp"

namespace {

using namespace readers;

// What all sources of one thread share.
struct Instance {
  KeepRule keep;
  TextBuffer buffer;
  uint64_t handles = 0;
  // Serial number of the handle whose text the buffer holds; 0 for none.
  uint64_t text_of = 0;
  // Made by the first page that is compressed on this thread.
  std::unique_ptr<Deflater> deflater;
  // Jobs of this thread's lane that run without JavaScript, by id; `kept` holds the memory they point into.
  ReplayLayout replay_layout{};
  std::vector<std::unique_ptr<Replay>> replays;
  std::vector<napi_ref> kept;
  // Without a bell: the thread is no lane.
  Lane lane;
  napi_ref lane_memory = nullptr;
  NetlinkClient netlink;
  std::vector<MergePage> merge_pages;
  ScanTools tools{nullptr, nullptr, nullptr, std::vector<double>(4096), {}};
};

// First bytes of every object JavaScript holds, so that a mixed-up handle is an error and not a crash.
enum class HandleKind : uint32_t {
  source = 0x52534f55,
  set = 0x52534554,
  mounts = 0x524d4e54,
  watch = 0x52575448,
  ethtool = 0x52455448,
  perf = 0x52504552,
  page_deflater = 0x52504746,
  view_build = 0x52564257,
  tasks = 0x5254534b,
  rows = 0x52524f57
};

struct Handle {
  HandleKind kind;
  uint64_t serial;
  Format format;
};

struct SourceHandle : Handle {
  Source source;
};

struct SetHandle : Handle {
  SourceSet set;
};

struct EthtoolHandle : Handle {
  EthtoolCalls calls;
};

struct PerfHandle : Handle {
  PerfEvents events;
};

struct PageDeflaterHandle : Handle {
  PageDeflater deflater;
};

// Not collected before `closeViewBuild`: the references keep alive what another thread may be writing to.
struct ViewBuildHandle : Handle {
  ViewBuildHandle(uint64_t serial, ViewBuild made) : Handle{HandleKind::view_build, serial, Format{}}, build(std::move(made)) {}
  ~ViewBuildHandle() { ViewBuilds::process().leave(build); }
  ViewBuildHandle(const ViewBuildHandle&) = delete;
  ViewBuildHandle& operator=(const ViewBuildHandle&) = delete;

  ViewBuild build;
  napi_ref head = nullptr;
  napi_ref plan = nullptr;
};

struct MountsHandle : Handle {
  std::vector<std::shared_ptr<MountCalls::Call>> calls;
};

struct WatchHandle : Handle {
  Watch watch;
  std::vector<uint8_t> events;
};

struct TasksHandle : Handle {
  TaskCensus census;
};

struct RowsHandle : Handle {
  RowTable table;
  // Of a call; kept for its room.
  std::vector<RowFile> files;
};

// --- Errors. None of these returns for its caller. ---

// Raises a TypeError unless an exception is pending already. Returns null for `return fail(...)`.
napi_value fail(napi_env env, const char* message) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    // When even raising fails there is nothing left to tell.
    static_cast<void>(napi_throw_type_error(env, "NR_ARG", message));
  }
  return nullptr;
}

// --- Arguments ---

template <size_t Count>
bool take_arguments(napi_env env, napi_callback_info info, std::array<napi_value, Count>& values) {
  size_t count = Count;
  return napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr) == napi_ok && count == Count;
}

Instance* instance_of(napi_env env) {
  void* data = nullptr;
  return napi_get_instance_data(env, &data) == napi_ok ? static_cast<Instance*>(data) : nullptr;
}

bool take(napi_env env, napi_value value, uint32_t& number) {
  return napi_get_value_uint32(env, value, &number) == napi_ok;
}

bool take(napi_env env, napi_value value, std::string& text) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  text.resize(length);
  // The terminator lands on std::string's own.
  return napi_get_value_string_utf8(env, value, text.data(), length + 1, &length) == napi_ok;
}

template <typename Element>
constexpr napi_typedarray_type kArrayType = napi_uint8_array;
template <>
constexpr napi_typedarray_type kArrayType<double> = napi_float64_array;
template <>
constexpr napi_typedarray_type kArrayType<int32_t> = napi_int32_array;
template <>
constexpr napi_typedarray_type kArrayType<uint32_t> = napi_uint32_array;

// Works over ArrayBuffer and SharedArrayBuffer alike. A detached array has length 0.
template <typename Element>
bool take(napi_env env, napi_value value, std::span<Element>& array) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  if (type != kArrayType<std::remove_const_t<Element>>) return false;
  array = data == nullptr ? std::span<Element>{} : std::span<Element>{static_cast<Element*>(data), length};
  return true;
}

Handle* take_handle(napi_env env, napi_value value) {
  void* data = nullptr;
  return napi_get_value_external(env, value, &data) == napi_ok ? static_cast<Handle*>(data) : nullptr;
}

SourceHandle* take_source(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::source ? static_cast<SourceHandle*>(handle) : nullptr;
}

SetHandle* take_set(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::set ? static_cast<SetHandle*>(handle) : nullptr;
}

MountsHandle* take_mounts(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::mounts ? static_cast<MountsHandle*>(handle) : nullptr;
}

WatchHandle* take_watch(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::watch ? static_cast<WatchHandle*>(handle) : nullptr;
}

EthtoolHandle* take_ethtool(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::ethtool ? static_cast<EthtoolHandle*>(handle) : nullptr;
}

PerfHandle* take_perf(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::perf ? static_cast<PerfHandle*>(handle) : nullptr;
}

TasksHandle* take_tasks(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::tasks ? static_cast<TasksHandle*>(handle) : nullptr;
}

RowsHandle* take_rows(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::rows ? static_cast<RowsHandle*>(handle) : nullptr;
}

// Bits of the flags argument; the same numbers stand in src/readers/native.ts.
enum FormatFlag : uint32_t { kFlagHex = 1, kFlagText = 2, kFlagReopen = 4, kFlagAttribute = 8, kFlagRecord = 16, kFlagNames = 32, kFlagLingers = 64 };

// Four arguments: keys, delimiters, flags, cap in bytes.
bool take_format(napi_env env, const napi_value* values, Format& format) {
  std::string delimiters;
  uint32_t flags = 0;
  uint32_t cap = 0;
  if (!take(env, values[0], format.keys) || !take(env, values[1], delimiters) || !take(env, values[2], flags) ||
      !take(env, values[3], cap)) {
    return false;
  }
  format.set_delimiters(delimiters);
  format.hex = (flags & kFlagHex) != 0;
  format.text = (flags & kFlagText) != 0;
  format.reopen = (flags & kFlagReopen) != 0;
  format.attribute = (flags & kFlagAttribute) != 0;
  format.record = (flags & kFlagRecord) != 0;
  format.lingers = (flags & kFlagLingers) != 0;
  format.names = (flags & kFlagNames) != 0;
  format.cap = std::min<size_t>(cap, kLargestText);
  return true;
}

// --- Results ---

napi_value make_number(napi_env env, double value) {
  napi_value result = nullptr;
  return napi_create_double(env, value, &result) == napi_ok ? result : fail(env, "cannot make a number");
}

napi_value make_int(napi_env env, int32_t value) {
  napi_value result = nullptr;
  return napi_create_int32(env, value, &result) == napi_ok ? result : fail(env, "cannot make a number");
}

napi_value make_undefined(napi_env env) {
  napi_value result = nullptr;
  return napi_get_undefined(env, &result) == napi_ok ? result : nullptr;
}

// A new ArrayBuffer with a copy of the bytes.
napi_value make_bytes(napi_env env, const void* bytes, size_t size) {
  void* data = nullptr;
  napi_value result = nullptr;
  if (napi_create_arraybuffer(env, size, &data, &result) != napi_ok) return fail(env, "cannot make a buffer");
  if (size != 0) std::memcpy(data, bytes, size);
  return result;
}

template <typename Kind>
void destroy_handle(napi_env, void* data, void*) {
  delete static_cast<Kind*>(data);
}

// Hands a handle to JavaScript. Descriptors are closed when it is collected or its thread ends. The finaliser keeps away
// from the instance: at the end of a thread their order is not promised.
template <typename Kind>
napi_value make_external(napi_env env, std::unique_ptr<Kind> handle) {
  napi_value result = nullptr;
  if (napi_create_external(env, handle.get(), destroy_handle<Kind>, nullptr, &result) != napi_ok) {
    return fail(env, "cannot make a handle");
  }
  static_cast<void>(handle.release());
  return result;
}

// One small integer for the whole outcome: -errno, or 4 * numbers + (1 when changed) + (2 when more room is wanted).
napi_value make_scan_result(napi_env env, const ScanResult& result) {
  if (result.state == ScanState::failed) return make_int(env, -result.error);
  auto word = static_cast<int32_t>(result.count * 4);
  if (result.state == ScanState::changed) word |= 1;
  if (result.state == ScanState::need_more) word |= 2;
  return make_int(env, word);
}

// --- Sources ---

// source(path, keys, delimiters, flags, cap): handle
napi_value source(napi_env env, napi_callback_info info) {
  std::array<napi_value, 5> arguments{};
  std::string path;
  Format format;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], path) ||
      !take_format(env, &arguments[1], format)) {
    return fail(env, "source(path, keys, delimiters, flags, cap)");
  }
  return make_external(env, std::unique_ptr<SourceHandle>(new SourceHandle{
                                {HandleKind::source, ++instance->handles, format}, Source(std::move(path))}));
}

// scan(source, numbers): scan result
napi_value scan(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  std::span<double> numbers;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "scan(source, numbers)");
  SourceHandle* handle = take_source(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], numbers)) return fail(env, "scan(source, numbers)");
  const ScanResult result = handle->source.scan(handle->format, instance->keep, instance->buffer, numbers);
  instance->text_of = result.state == ScanState::failed ? 0 : handle->serial;
  return make_scan_result(env, result);
}

// refill(source, numbers): scan result, from the text the last scan read
napi_value refill(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  std::span<double> numbers;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "refill(source, numbers)");
  SourceHandle* handle = take_source(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], numbers)) return fail(env, "refill(source, numbers)");
  if (instance->text_of != handle->serial) return fail(env, "refill without a scan before it");
  return make_scan_result(env, handle->source.rescan(handle->format, instance->buffer.view(), numbers));
}

// closeSource(source)
napi_value close_source(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeSource(source)");
  SourceHandle* handle = take_source(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeSource(source)");
  handle->source.close();
  return make_undefined(env);
}

// bytes(handle): ArrayBuffer with the text last read through this handle, or undefined when the buffer holds another's
napi_value bytes(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "bytes(handle)");
  const Handle* handle = take_handle(env, arguments[0]);
  if (handle == nullptr) return fail(env, "bytes(handle)");
  if (instance->text_of != handle->serial) return make_undefined(env);
  const std::string_view text = instance->buffer.view();
  return make_bytes(env, text.data(), text.size());
}

// tokens(handle): ArrayBuffer of TokenWords for that text, or undefined
napi_value tokens(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "tokens(handle)");
  const Handle* handle = take_handle(env, arguments[0]);
  if (handle == nullptr) return fail(env, "tokens(handle)");
  if (instance->text_of != handle->serial) return make_undefined(env);
  const std::vector<TokenWords> list = list_tokens(instance->buffer.view(), handle->format);
  return make_bytes(env, list.data(), list.size() * sizeof(TokenWords));
}

// --- Sets ---

// set(keys, delimiters, flags, cap, folder): handle
napi_value set(napi_env env, napi_callback_info info) {
  std::array<napi_value, 5> arguments{};
  Format format;
  std::string folder;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take_format(env, arguments.data(), format) ||
      !take(env, arguments[4], folder)) {
    return fail(env, "set(keys, delimiters, flags, cap, folder)");
  }
  return make_external(
      env, std::unique_ptr<SetHandle>(new SetHandle{{HandleKind::set, ++instance->handles, format}, SourceSet(std::move(folder))}));
}

// addMember(set, path): member
napi_value add_member(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  std::string path;
  if (!take_arguments(env, info, arguments)) return fail(env, "addMember(set, path)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], path)) return fail(env, "addMember(set, path)");
  return make_number(env, handle->set.add(std::move(path)));
}

// removeMember(set, member)
napi_value remove_member(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t member = 0;
  if (!take_arguments(env, info, arguments)) return fail(env, "removeMember(set, member)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], member)) return fail(env, "removeMember(set, member)");
  handle->set.remove(member);
  return make_undefined(env);
}

// scanSet(set, numbers, status, start, counts, progress): true when done. `progress` is SetProgress in two words; false
// asks for the same call with at least progress[1] numbers, those already written kept.
napi_value scan_set(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "scanSet(set, numbers, status, start, counts, progress)";
  std::array<napi_value, 6> arguments{};
  SetResults results;
  std::span<uint32_t> words;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, kUsage);
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], results.numbers) || !take(env, arguments[2], results.status) ||
      !take(env, arguments[3], results.start) || !take(env, arguments[4], results.counts) ||
      !take(env, arguments[5], words) || words.size() < 2) {
    return fail(env, kUsage);
  }
  const size_t members = handle->set.size();
  if (results.status.size() < members || results.start.size() < members || results.counts.size() < members ||
      words[1] > results.numbers.size()) {
    return fail(env, "scanSet: results too small");
  }
  SetProgress progress{words[0], words[1]};
  const bool done = handle->set.scan(handle->format, instance->keep, instance->buffer, results, progress);
  instance->text_of = 0;
  words[0] = progress.next_member;
  words[1] = progress.used;
  napi_value result = nullptr;
  return napi_get_boolean(env, done, &result) == napi_ok ? result : fail(env, kUsage);
}

// scanMember(set, member, numbers): scan result
napi_value scan_member(napi_env env, napi_callback_info info) {
  std::array<napi_value, 3> arguments{};
  uint32_t number = 0;
  std::span<double> numbers;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "scanMember(set, member, numbers)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], number) || !take(env, arguments[2], numbers)) {
    return fail(env, "scanMember(set, member, numbers)");
  }
  Source* member = handle->set.member(number);
  if (member == nullptr) return fail(env, "scanMember: no such member");
  instance->text_of = 0;
  return make_scan_result(env, member->scan(handle->format, instance->keep, instance->buffer, numbers));
}

// readMember(set, member): 0 or -errno; the text is then had by bytes() and tokens()
napi_value read_member(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t number = 0;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "readMember(set, member)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], number)) return fail(env, "readMember(set, member)");
  Source* member = handle->set.member(number);
  if (member == nullptr) return fail(env, "readMember: no such member");
  const int error = member->read(handle->format, instance->keep, instance->buffer);
  instance->text_of = error == 0 ? handle->serial : 0;
  return make_int(env, -error);
}

// memberShape(set, member): shape of the last scan
napi_value member_shape(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t number = 0;
  if (!take_arguments(env, info, arguments)) return fail(env, "memberShape(set, member)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], number)) return fail(env, "memberShape(set, member)");
  const Source* member = handle->set.member(number);
  if (member == nullptr) return fail(env, "memberShape: no such member");
  return make_number(env, static_cast<double>(shape_number(member->shape())));
}

// textShape(set): shape of the text that readMember has read, or undefined when the buffer holds another's
napi_value text_shape(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, "textShape(set)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr) return fail(env, "textShape(set)");
  if (instance->text_of != handle->serial) return make_undefined(env);
  const Scan found = scan_text(instance->buffer.view(), handle->format, {});
  return make_number(env, static_cast<double>(shape_number(found.shape)));
}

// closeSet(set)
napi_value close_set(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeSet(set)");
  SetHandle* handle = take_set(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeSet(set)");
  handle->set.close();
  return make_undefined(env);
}

// --- Rows ---

// rows(rules): handle. Four words per rule: RowRule, column, two more
napi_value rows(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::span<int32_t> rules;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], rules)) return fail(env, "rows(rules)");
  return make_external(env, std::unique_ptr<RowsHandle>(new RowsHandle{{HandleKind::rows, ++instance->handles, Format()},
                                                                       RowTable({rules.begin(), rules.end()}), {}}));
}

// learnRow(rows, file, shape, needs, at, column, over, words): `words` are columns and values in turn
napi_value learn_row(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "learnRow(rows, file, shape, needs, at, column, over, words)";
  std::array<napi_value, 8> arguments{};
  uint32_t file = 0;
  double shape = 0;
  RowPattern pattern;
  std::span<int32_t> at;
  std::span<int32_t> column;
  std::span<double> over;
  std::span<double> words;
  if (!take_arguments(env, info, arguments)) return fail(env, kUsage);
  RowsHandle* handle = take_rows(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], file) || file >= kMostRowFiles ||
      napi_get_value_double(env, arguments[2], &shape) != napi_ok || !take(env, arguments[3], pattern.needs) ||
      !take(env, arguments[4], at) || !take(env, arguments[5], column) || !take(env, arguments[6], over) ||
      !take(env, arguments[7], words) || column.size() < at.size() || over.size() < at.size() || !(shape >= 0)) {
    return fail(env, kUsage);
  }
  pattern.shape = static_cast<uint64_t>(shape);
  for (size_t i = 0; i < at.size(); ++i) {
    pattern.targets.push_back({static_cast<uint32_t>(at[i]), static_cast<uint32_t>(column[i]), over[i]});
  }
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    if (!(words[i] >= 0 && words[i] < UINT32_MAX)) return fail(env, kUsage);
    pattern.words.push_back({static_cast<uint32_t>(words[i]), words[i + 1]});
  }
  handle->table.learn(file, std::move(pattern));
  return make_undefined(env);
}

// Elements of a file in the list that fillRows takes.
constexpr uint32_t kRowFileParts = 6;
constexpr int32_t kMissedWitness = 2;

// Two sets, members, missing, [column of the count, whether it is a witness], times it was read at or an empty array.
bool take_row_file(napi_env env, napi_value list, uint32_t from, RowFile& file) {
  std::array<napi_value, kRowFileParts> parts{};
  for (uint32_t i = 0; i < kRowFileParts; ++i) {
    if (napi_get_element(env, list, from + i, &parts[i]) != napi_ok) return false;
  }
  for (size_t place = 0; place < file.places.size(); ++place) {
    SetHandle* set = take_set(env, parts[place]);
    if (set == nullptr) return false;
    file.places[place] = {&set->set, &set->format};
  }
  std::span<int32_t> members;
  std::span<int32_t> missing;
  std::span<int32_t> facts;
  if (!take(env, parts[2], members) || !take(env, parts[3], missing) || !take(env, parts[4], facts) || facts.size() < 2 ||
      !take(env, parts[5], file.read_ms)) {
    return false;
  }
  file.members = members;
  file.missing = missing;
  file.counts = facts[0];
  file.is_witness = facts[1] != 0;
  file.is_missed = facts[1] == kMissedWitness;
  return true;
}

constexpr size_t kRowFacts = 8;

// Files as take_row_file has them, [rows, slots, states, movedMs, values, stamps, left], and facts: strides of rows and slots,
// columns, run, number brought, then RowRest.
bool take_row_memory(napi_env env, napi_value list, napi_value arrays, napi_value numbers, std::vector<RowFile>& files, RowMemory& memory) {
  constexpr uint32_t kArrays = 7;
  uint32_t parts = 0;
  std::span<double> facts;
  if (napi_get_array_length(env, list, &parts) != napi_ok || parts % kRowFileParts != 0 || !take(env, numbers, facts) ||
      facts.size() < kRowFacts) {
    return false;
  }
  files.resize(parts / kRowFileParts);
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (!take_row_file(env, list, i * kRowFileParts, files[i])) return false;
  }
  std::array<napi_value, kArrays> given{};
  for (uint32_t i = 0; i < kArrays; ++i) {
    if (napi_get_element(env, arrays, i, &given[i]) != napi_ok) return false;
  }
  if (!take(env, given[0], memory.rows) || !take(env, given[1], memory.slots) || !take(env, given[2], memory.states) ||
      !take(env, given[3], memory.moved_ms) || !take(env, given[4], memory.values) || !take(env, given[5], memory.stamps) ||
      !take(env, given[6], memory.left)) {
    return false;
  }
  memory.stride = static_cast<size_t>(facts[0]);
  memory.slot_stride = static_cast<size_t>(facts[1]);
  memory.columns = static_cast<size_t>(facts[2]);
  memory.run = static_cast<uint32_t>(facts[3]);
  memory.brought = facts[4];
  memory.rest = {facts[5], facts[6], facts[7]};
  return true;
}

// fillRows(rows, files, memory, facts): rows left
napi_value fill_rows(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "fillRows(rows, files, memory, facts)";
  std::array<napi_value, 4> arguments{};
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, kUsage);
  RowsHandle* handle = take_rows(env, arguments[0]);
  RowMemory memory;
  if (handle == nullptr || !take_row_memory(env, arguments[1], arguments[2], arguments[3], handle->files, memory)) return fail(env, kUsage);
  instance->text_of = 0;
  const int32_t left = handle->table.fill(handle->files, memory, instance->keep, instance->buffer);
  return left < 0 ? fail(env, "fillRows: arrays that do not fit each other") : make_int(env, left);
}

// --- Mounts ---

// mounts(): handle
napi_value mounts(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr) return fail(env, "mounts()");
  return make_external(
      env, std::unique_ptr<MountsHandle>(new MountsHandle{{HandleKind::mounts, ++instance->handles, Format{}}, {}}));
}

// setPaths(mounts, paths)
napi_value set_paths(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t count = 0;
  if (!take_arguments(env, info, arguments)) return fail(env, "setPaths(mounts, paths)");
  MountsHandle* handle = take_mounts(env, arguments[0]);
  if (handle == nullptr || napi_get_array_length(env, arguments[1], &count) != napi_ok) {
    return fail(env, "setPaths(mounts, paths)");
  }
  std::vector<std::string> paths(count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value path = nullptr;
    if (napi_get_element(env, arguments[1], i, &path) != napi_ok || !take(env, path, paths[i])) {
      return fail(env, "setPaths: a path is not a string");
    }
  }
  handle->calls = MountCalls::process().name(paths);
  return make_undefined(env);
}

// runMounts(mounts, waitMs, status, numbers); blocks the calling thread for at most waitMs
napi_value run_mounts(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "runMounts(mounts, waitMs, status, numbers)";
  std::array<napi_value, 4> arguments{};
  uint32_t wait_ms = 0;
  std::span<int32_t> status;
  std::span<double> numbers;
  if (!take_arguments(env, info, arguments)) return fail(env, kUsage);
  MountsHandle* handle = take_mounts(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], wait_ms) || !take(env, arguments[2], status) ||
      !take(env, arguments[3], numbers)) {
    return fail(env, kUsage);
  }
  const size_t paths = handle->calls.size();
  if (status.size() < paths || numbers.size() / kMountNumbers < paths) return fail(env, "runMounts: results too small");
  MountCalls::process().run(handle->calls, std::chrono::milliseconds(wait_ms), status, numbers);
  return make_undefined(env);
}

// --- Watches ---

// watch(): handle, or -errno when there is no instance to be had
napi_value watch(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr) return fail(env, "watch()");
  std::unique_ptr<WatchHandle> handle(
      new WatchHandle{{HandleKind::watch, ++instance->handles, Format{}}, Watch(), {}});
  if (const int error = handle->watch.open(); error != 0) return make_int(env, -error);
  return make_external(env, std::move(handle));
}

// addWatch(watch, path, writes): number of the directory, or -errno
napi_value add_watch(napi_env env, napi_callback_info info) {
  std::array<napi_value, 3> arguments{};
  std::string path;
  uint32_t writes = 0;
  if (!take_arguments(env, info, arguments)) return fail(env, "addWatch(watch, path, writes)");
  WatchHandle* handle = take_watch(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], path) || !take(env, arguments[2], writes)) {
    return fail(env, "addWatch(watch, path, writes)");
  }
  return make_int(env, handle->watch.add(path.c_str(), writes != 0));
}

// removeWatch(watch, number)
napi_value remove_watch(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t number = 0;
  if (!take_arguments(env, info, arguments)) return fail(env, "removeWatch(watch, number)");
  WatchHandle* handle = take_watch(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], number)) return fail(env, "removeWatch(watch, number)");
  handle->watch.remove(static_cast<int>(number));
  return make_undefined(env);
}

// readWatch(watch): ArrayBuffer of inotify_event structures, undefined when there are none, or -errno
napi_value read_watch(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "readWatch(watch)");
  WatchHandle* handle = take_watch(env, arguments[0]);
  if (handle == nullptr) return fail(env, "readWatch(watch)");
  if (const int error = handle->watch.read(handle->events); error != 0) return make_int(env, -error);
  return handle->events.empty() ? make_undefined(env) : make_bytes(env, handle->events.data(), handle->events.size());
}

// closeWatch(watch)
napi_value close_watch(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeWatch(watch)");
  WatchHandle* handle = take_watch(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeWatch(watch)");
  handle->watch.close();
  return make_undefined(env);
}

// --- Pages ---

// encode(blob, ops, families, values, stamps, run, page, index): as Readers.encode
napi_value encode(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "encode(blob, ops, families, values, stamps, run, page, index)";
  std::array<napi_value, 8> arguments{};
  PageInput input{};
  std::span<uint8_t> page;
  std::span<uint32_t> index;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], input.blob) ||
      !take(env, arguments[1], input.ops) || !take(env, arguments[2], input.families) ||
      !take(env, arguments[3], input.values) || !take(env, arguments[4], input.stamps) ||
      !take(env, arguments[5], input.run) || !take(env, arguments[6], page) || !take(env, arguments[7], index)) {
    return fail(env, kUsage);
  }
  const PageResult result = encode_page(input, page, index);
  if (result.state == PageState::malformed) {
    static_cast<void>(napi_throw_range_error(env, "NR_PLAN", "page plan points outside its blob, slots or index"));
    return nullptr;
  }
  const auto bytes_or_wanted = static_cast<double>(result.bytes);
  return make_number(env, result.state == PageState::ok ? bytes_or_wanted : -(1 + bytes_or_wanted));
}

// deflate(input, output): bytes written, -(1 + room that suffices) when `output` is too small, null without a zlib
napi_value deflate(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "deflate(input, output)";
  std::array<napi_value, 2> arguments{};
  std::span<uint8_t> input;
  std::span<uint8_t> output;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], input) ||
      !take(env, arguments[1], output)) {
    return fail(env, kUsage);
  }
  if (!instance->deflater) instance->deflater = std::make_unique<Deflater>();
  if (!instance->deflater->usable()) {
    napi_value none = nullptr;
    return napi_get_null(env, &none) == napi_ok ? none : fail(env, kUsage);
  }
  const size_t room = Deflater::bound(input.size());
  const size_t bytes = output.size() < room ? SIZE_MAX : instance->deflater->compress(input, output);
  return make_number(env, bytes == SIZE_MAX ? -(1 + static_cast<double>(room)) : static_cast<double>(bytes));
}

// merge(order, kinds, pages, indexes, target, results): true when done
napi_value merge_pages_into(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "merge(order, kinds, pages, indexes, target, results)";
  std::array<napi_value, 6> arguments{};
  std::span<int32_t> order;
  std::span<uint8_t> kinds;
  std::span<uint8_t> target;
  std::span<double> results;
  uint32_t count = 0;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], order) || !take(env, arguments[1], kinds) ||
      napi_get_array_length(env, arguments[2], &count) != napi_ok || !take(env, arguments[4], target) || !take(env, arguments[5], results) ||
      results.size() < 3 || order.size() < kinds.size() * 3) {
    return fail(env, kUsage);
  }
  instance->merge_pages.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value page = nullptr;
    napi_value index = nullptr;
    if (napi_get_element(env, arguments[2], i, &page) != napi_ok || napi_get_element(env, arguments[3], i, &index) != napi_ok ||
        !take(env, page, instance->merge_pages[i].page) || !take(env, index, instance->merge_pages[i].index)) {
      return fail(env, kUsage);
    }
  }
  const MergeResult merged = merge_pages(order, kinds, instance->merge_pages, target);
  results[0] = static_cast<double>(merged.bytes);
  results[1] = static_cast<double>(merged.samples);
  results[2] = merged.time_at == SIZE_MAX ? -1 : static_cast<double>(merged.time_at);
  napi_value is_done = nullptr;
  return napi_get_boolean(env, merged.state == PageState::ok, &is_done) == napi_ok ? is_done : fail(env, kUsage);
}

// pageDeflater(): handle
napi_value page_deflater(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr) return fail(env, "pageDeflater()");
  return make_external(
      env, std::unique_ptr<PageDeflaterHandle>(new PageDeflaterHandle{{HandleKind::page_deflater, ++instance->handles, Format{}}, {}}));
}

// gzipPage(deflater, page, hole at or -1, hole bytes, output, results): true when done, with results bytes, place of the hole
// or -1, CRC-32
napi_value gzip_page(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "gzipPage(deflater, page, holeAt, holeBytes, output, results)";
  std::array<napi_value, 6> arguments{};
  std::span<uint8_t> page;
  std::span<uint8_t> output;
  std::span<double> results;
  int32_t hole_at = -1;
  uint32_t hole_bytes = 0;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[1], page) || napi_get_value_int32(env, arguments[2], &hole_at) != napi_ok ||
      !take(env, arguments[3], hole_bytes) || !take(env, arguments[4], output) || !take(env, arguments[5], results) || results.size() < 3) {
    return fail(env, kUsage);
  }
  Handle* handle = take_handle(env, arguments[0]);
  if (handle == nullptr || handle->kind != HandleKind::page_deflater) return fail(env, kUsage);
  PageHole hole;
  if (hole_at >= 0) hole = {static_cast<size_t>(hole_at), hole_bytes};
  const bool is_inside = hole_at < 0 || (hole.at <= page.size() && hole.length <= page.size() - hole.at && hole.length <= 0xffffU);
  if (!is_inside || page.size() > UINT32_MAX) return fail(env, kUsage);
  const auto result = static_cast<PageDeflaterHandle*>(handle)->deflater.gzip(page, hole, output);
  if (result) {
    results[0] = static_cast<double>(result->bytes);
    results[1] = result->hole_at == PageHole::kNone ? -1 : static_cast<double>(result->hole_at);
    results[2] = result->crc;
  }
  napi_value is_done = nullptr;
  return napi_get_boolean(env, result.has_value(), &is_done) == napi_ok ? is_done : fail(env, kUsage);
}

// --- Builds of views ---

// viewBuild([bell, words, floats], layout, roles, idle ms): handle
napi_value view_build(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "viewBuild([bell, words, floats], layout, roles, idleMs)";
  std::array<napi_value, 4> arguments{};
  std::array<napi_value, 3> memory{};
  std::span<int32_t> bell;
  std::span<int32_t> words;
  std::span<double> floats;
  std::span<int32_t> layout_words;
  uint32_t roles = 0;
  double idle_ms = 0;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, kUsage);
  for (uint32_t i = 0; i < memory.size(); ++i) {
    if (napi_get_element(env, arguments[0], i, &memory[i]) != napi_ok) return fail(env, kUsage);
  }
  if (!take(env, memory[0], bell) || !take(env, memory[1], words) || !take(env, memory[2], floats) || !take(env, arguments[1], layout_words) ||
      layout_words.size() != kBuildLayoutWords || !take(env, arguments[2], roles) || roles > UINT16_MAX ||
      napi_get_value_double(env, arguments[3], &idle_ms) != napi_ok) {
    return fail(env, kUsage);
  }
  BuildLayout layout{};
  std::memcpy(&layout, layout_words.data(), layout_words.size_bytes());
  auto handle = std::make_unique<ViewBuildHandle>(++instance->handles, ViewBuild(layout, words, floats, roles, idle_ms));
  if (!handle->build.is_sound()) return fail(env, "viewBuild: a layout that does not fit");
  if (napi_create_reference(env, arguments[0], 1, &handle->head) != napi_ok) return fail(env, "cannot keep memory");
  ViewBuilds::process().enter(bell.data(), handle->build);
  return make_external(env, std::move(handle));
}

ViewBuildHandle* take_view_build(napi_env env, napi_value value) {
  Handle* handle = take_handle(env, value);
  return handle != nullptr && handle->kind == HandleKind::view_build ? static_cast<ViewBuildHandle*>(handle) : nullptr;
}

void drop_reference(napi_env env, napi_ref& kept) {
  if (kept != nullptr) static_cast<void>(napi_delete_reference(env, kept));
  kept = nullptr;
}

// Per entry eight arrays (words, floats, page and index of both buffers and of the fallback) and three facts (variant, role,
// shape).
bool take_entries(napi_env env, napi_value list, std::span<const int32_t> facts, std::vector<BuildEntry>& entries) {
  for (uint32_t at = 0; at < facts.size() / 3; ++at) {
    std::array<napi_value, 8> arrays{};
    for (uint32_t i = 0; i < arrays.size(); ++i) {
      if (napi_get_element(env, list, at * 8 + i, &arrays[i]) != napi_ok) return false;
    }
    BuildEntry entry;
    if (!take(env, arrays[0], entry.words) || !take(env, arrays[1], entry.floats)) return false;
    for (size_t page = 0; page < entry.pages.size(); ++page) {
      if (!take(env, arrays[2 + page * 2], entry.pages[page].page) || !take(env, arrays[3 + page * 2], entry.pages[page].index)) return false;
    }
    entry.variant = static_cast<uint32_t>(facts[at * 3]);
    entry.role = facts[at * 3 + 1];
    entry.shape = facts[at * 3 + 2];
    entries.push_back(entry);
  }
  return true;
}

// viewBuildArm(build, [entries, pages and gzips], [facts, order, kinds, missing], deflater or undefined)
napi_value view_build_arm(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "viewBuildArm(build, memory, lists, deflater)";
  std::array<napi_value, 4> arguments{};
  std::array<napi_value, 2> memory{};
  std::array<napi_value, 4> lists{};
  std::span<int32_t> facts;
  std::span<int32_t> order;
  std::span<uint8_t> kinds;
  std::span<int32_t> missing;
  if (!take_arguments(env, info, arguments)) return fail(env, kUsage);
  ViewBuildHandle* handle = take_view_build(env, arguments[0]);
  if (handle == nullptr) return fail(env, kUsage);
  for (uint32_t i = 0; i < memory.size(); ++i) {
    if (napi_get_element(env, arguments[1], i, &memory[i]) != napi_ok) return fail(env, kUsage);
  }
  for (uint32_t i = 0; i < lists.size(); ++i) {
    if (napi_get_element(env, arguments[2], i, &lists[i]) != napi_ok) return fail(env, kUsage);
  }
  BuildPlan plan;
  if (!take(env, lists[0], facts) || !take(env, lists[1], order) || !take(env, lists[2], kinds) || !take(env, lists[3], missing) ||
      !take_entries(env, memory[0], facts, plan.entries)) {
    return fail(env, kUsage);
  }
  plan.order.assign(order.begin(), order.end());
  plan.kinds.assign(kinds.begin(), kinds.end());
  plan.missing.assign(missing.begin(), missing.end());
  for (uint32_t i = 0; i < kGenerations; ++i) {
    napi_value page = nullptr;
    napi_value gzip = nullptr;
    if (napi_get_element(env, memory[1], i, &page) != napi_ok || napi_get_element(env, memory[1], kGenerations + i, &gzip) != napi_ok ||
        !take(env, page, plan.pages[i]) || !take(env, gzip, plan.gzips[i])) {
      return fail(env, kUsage);
    }
  }
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, arguments[3], &type) != napi_ok) return fail(env, kUsage);
  if (type != napi_undefined) {
    Handle* deflater = take_handle(env, arguments[3]);
    if (deflater == nullptr || deflater->kind != HandleKind::page_deflater) return fail(env, kUsage);
    plan.deflater = &static_cast<PageDeflaterHandle*>(deflater)->deflater;
  }
  ViewBuilds::process().disarm(handle->build);
  drop_reference(env, handle->plan);
  if (napi_create_reference(env, arguments[1], 1, &handle->plan) != napi_ok) return fail(env, "cannot keep memory");
  if (!ViewBuilds::process().arm(handle->build, std::move(plan))) return fail(env, "viewBuildArm: a plan that does not fit");
  return make_undefined(env);
}

// viewBuildDisarm(build): from then on no other thread builds the view
napi_value view_build_disarm(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "viewBuildDisarm(build)");
  ViewBuildHandle* handle = take_view_build(env, arguments[0]);
  if (handle == nullptr) return fail(env, "viewBuildDisarm(build)");
  ViewBuilds::process().disarm(handle->build);
  return make_undefined(env);
}

// closeViewBuild(build)
napi_value close_view_build(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeViewBuild(build)");
  ViewBuildHandle* handle = take_view_build(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeViewBuild(build)");
  ViewBuilds::process().leave(handle->build);
  drop_reference(env, handle->head);
  drop_reference(env, handle->plan);
  return make_undefined(env);
}

// buildViews(bell): false when something was left for the builder
napi_value build_views(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::span<int32_t> bell;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], bell)) return fail(env, "buildViews(bell)");
  napi_value is_done = nullptr;
  return napi_get_boolean(env, ViewBuilds::process().perform(bell.data()), &is_done) == napi_ok ? is_done : fail(env, "buildViews(bell)");
}

// --- Replays ---

// A list of numbers, texts and handles that is read from front to back. After a read past the end, or of something of
// another kind, `is_good` is false.
struct StepReader {
  napi_env env;
  std::span<int32_t> words;
  std::span<double> figures;
  napi_value handles;
  napi_value texts;
  uint32_t next_text = 0;
  size_t at = 0;
  size_t figure_at = 0;
  bool is_good = true;

  int32_t word() {
    if (at >= words.size()) is_good = false;
    return is_good ? words[at++] : 0;
  }
  uint32_t natural() {
    const int32_t value = word();
    if (value < 0) is_good = false;
    return is_good ? static_cast<uint32_t>(value) : 0;
  }
  double figure() {
    if (figure_at >= figures.size()) is_good = false;
    return is_good ? figures[figure_at++] : 0;
  }
  napi_value handle() {
    napi_value value = nullptr;
    if (napi_get_element(env, handles, natural(), &value) != napi_ok) is_good = false;
    return value;
  }
  std::string text() {
    napi_value value = nullptr;
    std::string result;
    if (napi_get_element(env, texts, next_text++, &value) != napi_ok || !take(env, value, result)) is_good = false;
    return result;
  }
  std::vector<uint8_t> bytes() {
    std::span<uint8_t> given;
    const napi_value value = handle();
    if (!is_good || !take(env, value, given)) is_good = false;
    return {given.begin(), given.end()};
  }
  Question question() {
    Question asked;
    asked.protocol = word();
    asked.is_strict = natural() == 1;
    asked.request = bytes();
    return asked;
  }
  void bound(Replay& replay) {
    Bound bound{natural(), natural(), static_cast<BoundMode>(natural()), natural(), 0, 0, 0};
    bound.times = figure();
    bound.over = figure();
    bound.again = figure();
    if (bound.mode > BoundMode::difference) is_good = false;
    replay.bounds.push_back(bound);
  }
  void range_of_bounds(Replay& replay, Step& step) {
    step.first_bound = static_cast<uint32_t>(replay.bounds.size());
    step.bounds = natural();
    for (uint32_t i = 0; i < step.bounds && is_good; ++i) bound(replay);
  }
};

// The words are written by ReplaySteps of src/readers/native.ts.
Step read_step(StepReader& reader, Replay& replay) {
  Step step{};
  step.kind = static_cast<StepKind>(reader.natural());
  switch (step.kind) {
    case StepKind::scan:
    case StepKind::table: {
      SourceHandle* handle = take_source(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.source = &handle->source;
      step.format = &handle->format;
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::mount_table: {
      SourceHandle* handle = take_source(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.source = &handle->source;
      step.format = &handle->format;
      return step;
    }
    case StepKind::set: {
      SetHandle* handle = take_set(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.set = &handle->set;
      step.format = &handle->format;
      const uint32_t members = reader.natural();
      for (uint32_t i = 0; i < members && reader.is_good; ++i) {
        ExpectedMember member{reader.natural(), reader.word(), reader.natural(), kNoBound};
        if (reader.natural() == 1) {
          member.bound = static_cast<uint32_t>(replay.bounds.size());
          reader.bound(replay);
        }
        step.members.push_back(member);
      }
      return step;
    }
    case StepKind::mounts: {
      MountsHandle* handle = take_mounts(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.calls = &handle->calls;
      step.wait_ms = reader.natural();
      const uint32_t count = reader.natural();
      for (uint32_t i = 0; i < count && reader.is_good; ++i) {
        step.mount_status.push_back(reader.word());
        step.mount_flags.push_back(reader.figure());
      }
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::answer: {
      step.question = reader.question();
      step.known.bytes = reader.bytes();
      const uint32_t ranges = reader.natural();
      for (uint32_t i = 0; i < ranges && reader.is_good; ++i) step.known.loose.push_back({reader.natural(), reader.natural()});
      const uint32_t fields = reader.natural();
      for (uint32_t i = 0; i < fields && reader.is_good; ++i) step.known.fields.push_back({reader.natural(), reader.natural()});
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::sockets:
      step.question = reader.question();
      step.type = static_cast<uint16_t>(reader.natural());
      reader.range_of_bounds(replay, step);
      return step;
    case StepKind::tasks: {
      TasksHandle* handle = take_tasks(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.tasks = &handle->census;
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::counters: {
      const PerfHandle* handle = take_perf(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.counters = &handle->events;
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::statistics: {
      EthtoolHandle* handle = take_ethtool(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.ethtool = &handle->calls;
      step.device = reader.text();
      step.statistics = reader.natural();
      step.state = reader.word();
      reader.range_of_bounds(replay, step);
      return step;
    }
    case StepKind::clock:
      step.state = reader.word();
      reader.range_of_bounds(replay, step);
      return step;
    case StepKind::wall:
      step.slot = reader.natural();
      return step;
    case StepKind::until_monotonic:
      step.to_ms = reader.figure();
      return step;
    case StepKind::missing:
      step.texts.push_back(reader.text());
      step.to_ms = reader.figure();
      step.from_ms = reader.figure();
      return step;
    case StepKind::within_wall:
      step.from_ms = reader.figure();
      step.to_ms = reader.figure();
      return step;
    case StepKind::uname:
      for (int i = 0; i < 6; ++i) step.texts.push_back(reader.text());
      return step;
    case StepKind::stamp:
      for (int i = 0; i < 2; ++i) step.texts.push_back(reader.text());
      return step;
    case StepKind::rows: {
      RowsHandle* handle = take_rows(reader.env, reader.handle());
      const napi_value files = reader.handle();
      const napi_value memory = reader.handle();
      const napi_value facts = reader.handle();
      const napi_value watched = reader.handle();
      step.brings_wall = reader.natural() == 1;
      const uint32_t use = reader.natural();
      if (!reader.is_good || handle == nullptr || use > static_cast<uint32_t>(WatchedUse::needs) ||
          !take_row_memory(reader.env, files, memory, facts, step.row_files, step.row_memory) ||
          !take(reader.env, watched, step.watched_ms)) {
        break;
      }
      step.table = &handle->table;
      step.row_memory.is_replay = true;
      step.watched_use = static_cast<WatchedUse>(use);
      return step;
    }
    case StepKind::quiet: {
      WatchHandle* handle = take_watch(reader.env, reader.handle());
      if (handle == nullptr) break;
      step.watch = &handle->watch;
      return step;
    }
    case StepKind::word:
      if (!take(reader.env, reader.handle(), step.words)) break;
      step.word = reader.natural();
      step.expected = reader.word();
      return step;
  }
  reader.is_good = false;
  return step;
}

// Six arrays per variant: blob, ops, two pages, two indexes.
bool take_pages(napi_env env, napi_value list, std::span<int32_t> families, std::vector<ReplayPage>& pages) {
  for (uint32_t variant = 0; variant < families.size() / 2; ++variant) {
    std::array<napi_value, 6> arrays{};
    for (uint32_t i = 0; i < arrays.size(); ++i) {
      if (napi_get_element(env, list, variant * 6 + i, &arrays[i]) != napi_ok) return false;
    }
    ReplayPage page;
    page.variant = static_cast<uint32_t>(families[variant * 2]);
    page.families = static_cast<uint32_t>(families[variant * 2 + 1]);
    if (!take(env, arrays[0], page.blob) || !take(env, arrays[1], page.ops) || !take(env, arrays[2], page.pages[0]) ||
        !take(env, arrays[3], page.pages[1]) || !take(env, arrays[4], page.indexes[0]) || !take(env, arrays[5], page.indexes[1])) {
      return false;
    }
    pages.push_back(page);
  }
  return true;
}

void drop_replay(napi_env env, Instance& instance, uint32_t job) {
  if (job >= instance.replays.size()) return;
  instance.replays[job].reset();
  if (instance.kept[job] != nullptr) static_cast<void>(napi_delete_reference(env, instance.kept[job]));
  instance.kept[job] = nullptr;
}

// replayLayout(layout): the words of ReplayLayout
napi_value replay_layout(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::span<int32_t> words;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], words) ||
      words.size() != kReplayLayoutWords) {
    return fail(env, "replayLayout(layout)");
  }
  std::memcpy(&instance->replay_layout, words.data(), words.size_bytes());
  return make_undefined(env);
}

// replayArm(job, steps, figures, [handles, texts, pages, values, stamps, words, floats], facts)
// facts: run, shape, wanted variants, duration slot or -1, ending and the word that counts it, then number and families of each variant
napi_value replay_arm(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "replayArm(job, steps, figures, memory, facts)";
  std::array<napi_value, 5> arguments{};
  std::array<napi_value, 7> memory{};
  uint32_t job = 0;
  StepReader reader{env, {}, {}, nullptr, nullptr};
  std::span<int32_t> facts;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], job) || job > 65'535 ||
      !take(env, arguments[1], reader.words) || !take(env, arguments[2], reader.figures) || !take(env, arguments[4], facts) ||
      facts.size() < 6) {
    return fail(env, kUsage);
  }
  for (uint32_t i = 0; i < memory.size(); ++i) {
    if (napi_get_element(env, arguments[3], i, &memory[i]) != napi_ok) return fail(env, kUsage);
  }
  reader.handles = memory[0];
  reader.texts = memory[1];
  auto replay = std::make_unique<Replay>();
  if (!take(env, memory[3], replay->values) || !take(env, memory[4], replay->stamps) || !take(env, memory[5], replay->words) ||
      !take(env, memory[6], replay->floats) || !take_pages(env, memory[2], facts.subspan(6), replay->pages)) {
    return fail(env, kUsage);
  }
  replay->run = static_cast<uint32_t>(facts[0]);
  replay->shape = facts[1];
  replay->wanted = facts[2];
  replay->duration_slot = facts[3] < 0 ? kNoBound : static_cast<uint32_t>(facts[3]);
  replay->ending = facts[4];
  replay->counted = facts[5];
  while (reader.is_good && reader.at < reader.words.size()) replay->steps.push_back(read_step(reader, *replay));
  replay->leave_unset();
  if (!reader.is_good || !replay->is_sound(instance->replay_layout)) return fail(env, "replayArm: steps that do not fit");
  if (job >= instance->replays.size()) {
    instance->replays.resize(job + 1);
    instance->kept.resize(job + 1, nullptr);
  }
  drop_replay(env, *instance, job);
  if (napi_create_reference(env, arguments[3], 1, &instance->kept[job]) != napi_ok) return fail(env, "cannot keep memory");
  instance->replays[job] = std::move(replay);
  return make_undefined(env);
}

// replayDrop(job)
napi_value replay_drop(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  uint32_t job = 0;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], job)) return fail(env, "replayDrop(job)");
  drop_replay(env, *instance, job);
  return make_undefined(env);
}

// lane([control, floats, owners, left, bell], number): the lane whose turns this thread takes
napi_value set_lane(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "lane([control, floats, owners, left, bell], number)";
  std::array<napi_value, 2> arguments{};
  std::array<napi_value, 5> memory{};
  Lane lane;
  std::span<int32_t> owners;
  std::span<int32_t> bell;
  uint32_t number = 0;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, kUsage);
  for (uint32_t i = 0; i < memory.size(); ++i) {
    if (napi_get_element(env, arguments[0], i, &memory[i]) != napi_ok) return fail(env, kUsage);
  }
  if (!take(env, memory[0], lane.control) || !take(env, memory[1], lane.floats) || !take(env, memory[2], owners) ||
      !take(env, memory[3], lane.left) || !take(env, memory[4], bell) || !take(env, arguments[1], number) ||
      !lane.is_sound(instance->replay_layout)) {
    return fail(env, kUsage);
  }
  lane.owners = owners;
  lane.number = static_cast<int32_t>(number);
  lane.bell = bell.data();
  drop_reference(env, instance->lane_memory);
  if (napi_create_reference(env, arguments[0], 1, &instance->lane_memory) != napi_ok) return fail(env, "cannot keep memory");
  instance->lane = lane;
  return make_undefined(env);
}

// turn(): flags and number of jobs left, see Lane
napi_value turn(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr || instance->lane.bell == nullptr) return fail(env, "turn() without a lane");
  instance->tools.keep = &instance->keep;
  instance->tools.buffer = &instance->buffer;
  instance->tools.netlink = &instance->netlink;
  instance->text_of = 0;
  return make_int(env, static_cast<int32_t>(instance->lane.turn(instance->replay_layout, instance->replays, instance->tools)));
}

// --- Machine ---

// uname(): array of sysname, nodename, release, version, machine, domainname; -errno when the kernel refuses
napi_value uname_fields(napi_env env, napi_callback_info) {
  MachineNames names;
  if (const int error = read_machine_names(names); error != 0) return make_int(env, -error);
  napi_value list = nullptr;
  if (napi_create_array(env, &list) != napi_ok) return fail(env, "cannot make an array");
  uint32_t at = 0;
  for (const std::string* name :
       {&names.sysname, &names.nodename, &names.release, &names.version, &names.machine, &names.domainname}) {
    napi_value text = nullptr;
    if (napi_create_string_utf8(env, name->data(), name->size(), &text) != napi_ok ||
        napi_set_element(env, list, at++, text) != napi_ok) {
      return fail(env, "cannot make a string");
    }
  }
  return list;
}

// threadCpuSeconds()
napi_value thread_cpu(napi_env env, napi_callback_info) { return make_number(env, thread_cpu_seconds()); }

// clock(numbers): state of the clock, or -errno; the order of the numbers is readers/clock.hpp's
napi_value clock_numbers(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::span<double> numbers;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], numbers) || numbers.size() < kClockNumbers) {
    return fail(env, "clock(numbers)");
  }
  return make_int(env, read_clock(numbers.first<kClockNumbers>()));
}

// netlink(protocol, strict, request, room): bytes of the answer, or -errno. The messages are in `room` when it is long enough.
napi_value netlink(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "netlink(protocol, strict, request, room)";
  std::array<napi_value, 4> arguments{};
  uint32_t protocol = 0;
  uint32_t strict = 0;
  std::span<uint8_t> request;
  std::span<uint8_t> room;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], protocol) ||
      !take(env, arguments[1], strict) || !take(env, arguments[2], request) || !take(env, arguments[3], room)) {
    return fail(env, kUsage);
  }
  const int error = instance->netlink.ask(static_cast<int>(protocol), strict != 0, request);
  if (error != 0) return make_int(env, -error);
  const std::span<const uint8_t> answer = instance->netlink.answer();
  if (answer.size() <= room.size()) std::copy(answer.begin(), answer.end(), room.begin());
  return make_number(env, static_cast<double>(answer.size()));
}

// lastAnswer(room): copies the last answer to netlink()
napi_value last_answer(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::span<uint8_t> room;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], room)) {
    return fail(env, "lastAnswer(room)");
  }
  const std::span<const uint8_t> answer = instance->netlink.answer();
  if (answer.size() > room.size()) return fail(env, "lastAnswer: room too small");
  std::copy(answer.begin(), answer.end(), room.begin());
  return make_undefined(env);
}

// --- Tasks ---

// tasks(procfs): handle
napi_value tasks(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  std::string procfs;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments) || !take(env, arguments[0], procfs)) {
    return fail(env, "tasks(procfs)");
  }
  return make_external(env, std::unique_ptr<TasksHandle>(new TasksHandle{{HandleKind::tasks, ++instance->handles, Format{}},
                                                                         TaskCensus(std::move(procfs))}));
}

// countTasks(tasks, processes, threads, totals): undefined, or [-errno, path below procfs]; 0 instead of an errno where a text is no stat file
napi_value count_tasks(napi_env env, napi_callback_info info) {
  constexpr const char* kUsage = "countTasks(tasks, processes, threads, totals)";
  std::array<napi_value, 4> arguments{};
  TaskCounts counts;
  std::span<double> totals;
  Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) return fail(env, kUsage);
  TasksHandle* handle = take_tasks(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], counts.processes) || !take(env, arguments[2], counts.threads) ||
      !take(env, arguments[3], totals) || counts.processes.size() < kTaskStates || counts.threads.size() < kTaskStates ||
      totals.size() < 2) {
    return fail(env, kUsage);
  }
  std::string place;
  const int error = handle->census.look(instance->keep, counts, place);
  totals[0] = static_cast<double>(counts.pids);
  totals[1] = static_cast<double>(counts.thread_total);
  if (error == 0) return make_undefined(env);
  napi_value list = nullptr;
  napi_value text = nullptr;
  if (napi_create_array(env, &list) != napi_ok ||
      napi_set_element(env, list, 0, make_int(env, error == kMalformedStat ? 0 : -error)) != napi_ok ||
      napi_create_string_utf8(env, place.data(), place.size(), &text) != napi_ok ||
      napi_set_element(env, list, 1, text) != napi_ok) {
    return fail(env, "cannot make an array");
  }
  return list;
}

// closeTasks(tasks)
napi_value close_tasks(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeTasks(tasks)");
  TasksHandle* handle = take_tasks(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeTasks(tasks)");
  handle->census.close();
  return make_undefined(env);
}

// ethtool(): handle
napi_value ethtool(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr) return fail(env, "ethtool()");
  // EthtoolCalls cannot be moved: it is made in its place.
  std::unique_ptr<EthtoolHandle> handle(new EthtoolHandle);
  handle->kind = HandleKind::ethtool;
  handle->serial = ++instance->handles;
  return make_external(env, std::move(handle));
}

// askDevice(ethtool, device, command): 0 or an errno; `command` receives the answer
napi_value ask_device(napi_env env, napi_callback_info info) {
  std::array<napi_value, 3> arguments{};
  std::string device;
  std::span<uint8_t> command;
  if (!take_arguments(env, info, arguments)) return fail(env, "askDevice(ethtool, device, command)");
  EthtoolHandle* handle = take_ethtool(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], device) || !take(env, arguments[2], command)) {
    return fail(env, "askDevice(ethtool, device, command)");
  }
  return make_int(env, handle->calls.exchange(device, command));
}

// closeEthtool(ethtool)
napi_value close_ethtool(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeEthtool(ethtool)");
  EthtoolHandle* handle = take_ethtool(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeEthtool(ethtool)");
  handle->calls.close();
  return make_undefined(env);
}

// askFolder(folder, direction, type, number, exchange): 0 or an errno; `exchange` receives the answer
napi_value ask_folder_call(napi_env env, napi_callback_info info) {
  std::array<napi_value, 5> arguments{};
  std::string folder;
  uint32_t direction = 0;
  uint32_t type = 0;
  uint32_t number = 0;
  std::span<uint8_t> exchange;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], folder) || !take(env, arguments[1], direction) ||
      !take(env, arguments[2], type) || !take(env, arguments[3], number) || !take(env, arguments[4], exchange)) {
    return fail(env, "askFolder(folder, direction, type, number, exchange)");
  }
  return make_int(env, ask_folder(folder, direction, type, number, exchange));
}

// --- Counters of perf_event_open(2) ---

// perf(): handle
napi_value perf(napi_env env, napi_callback_info) {
  Instance* instance = instance_of(env);
  if (instance == nullptr) return fail(env, "perf()");
  return make_external(env, std::unique_ptr<PerfHandle>(new PerfHandle{{HandleKind::perf, ++instance->handles, Format{}}, {}}));
}

// addCounter(perf, type, config, cpu, cgroup, leader): position, or -errno. `config` has 53 bits: no event that we know has more.
napi_value add_counter(napi_env env, napi_callback_info info) {
  std::array<napi_value, 6> arguments{};
  uint32_t type = 0;
  int64_t config = 0;
  uint32_t cpu = 0;
  int32_t cgroup = -1;
  int32_t leader = -1;
  const Instance* instance = instance_of(env);
  if (instance == nullptr || !take_arguments(env, info, arguments)) {
    return fail(env, "addCounter(perf, type, config, cpu, cgroup, leader)");
  }
  PerfHandle* handle = take_perf(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], type) || napi_get_value_int64(env, arguments[2], &config) != napi_ok ||
      config < 0 || !take(env, arguments[3], cpu) || napi_get_value_int32(env, arguments[4], &cgroup) != napi_ok ||
      napi_get_value_int32(env, arguments[5], &leader) != napi_ok) {
    return fail(env, "addCounter(perf, type, config, cpu, cgroup, leader)");
  }
  return make_int(env, handle->events.add(type, static_cast<uint64_t>(config), static_cast<int>(cpu), instance->keep, cgroup, leader));
}

// readCounters(perf, values, ratios)
napi_value read_counters(napi_env env, napi_callback_info info) {
  std::array<napi_value, 3> arguments{};
  std::span<double> values;
  std::span<double> ratios;
  if (!take_arguments(env, info, arguments)) return fail(env, "readCounters(perf, values, ratios)");
  const PerfHandle* handle = take_perf(env, arguments[0]);
  if (handle == nullptr || !take(env, arguments[1], values) || values.size() < handle->events.size() || !take(env, arguments[2], ratios)) {
    return fail(env, "readCounters(perf, values, ratios)");
  }
  handle->events.read(values, ratios);
  return make_undefined(env);
}

// closeCounters(perf)
napi_value close_counters(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  if (!take_arguments(env, info, arguments)) return fail(env, "closeCounters(perf)");
  PerfHandle* handle = take_perf(env, arguments[0]);
  if (handle == nullptr) return fail(env, "closeCounters(perf)");
  handle->events.close();
  return make_undefined(env);
}

// limitSendBuffers(port, bytes): how many listeners, or -errno
napi_value limit_sending(napi_env env, napi_callback_info info) {
  std::array<napi_value, 2> arguments{};
  uint32_t port = 0;
  uint32_t size = 0;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], port) || !take(env, arguments[1], size) ||
      port > UINT16_MAX || size > INT32_MAX) {
    return fail(env, "limitSendBuffers(port, bytes)");
  }
  return make_int(env, limit_send_buffers(static_cast<uint16_t>(port), static_cast<int>(size)));
}

// exitNow(code): ends the process without exit handlers, which would wait for threads that sit in a hung system call
napi_value exit_now(napi_env env, napi_callback_info info) {
  std::array<napi_value, 1> arguments{};
  uint32_t code = 0;
  if (!take_arguments(env, info, arguments) || !take(env, arguments[0], code)) return fail(env, "exitNow(code)");
  _exit(static_cast<int>(code & 0xffU));
}

// collectGarbage(): of the calling thread; with the rest given back to the kernel
napi_value collect_garbage_here(napi_env env, napi_callback_info) {
  collect_garbage();
  return make_undefined(env);
}

// trimMemory(): gives memory that the process does not need for now back to the kernel
napi_value trim_memory_now(napi_env env, napi_callback_info) {
  trim_memory();
  return make_undefined(env);
}

void destroy_instance(napi_env, void* data, void*) { delete static_cast<Instance*>(data); }

bool add_function(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value = nullptr;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) == napi_ok &&
         napi_set_named_property(env, exports, name, value) == napi_ok;
}

}  // namespace

NAPI_MODULE_INIT() {
  // One heap for all threads: each would otherwise keep one of its own, which for a daemon that sleeps is memory for
  // nothing. Costs a lock that nobody waits for.
  static_cast<void>(mallopt(M_ARENA_MAX, 1));
  auto instance = std::make_unique<Instance>();
  if (napi_set_instance_data(env, instance.get(), destroy_instance, nullptr) != napi_ok) {
    return fail(env, "cannot keep instance data");
  }
  static_cast<void>(instance.release());

  struct Entry {
    const char* name;
    napi_callback function;
  };
  constexpr auto kFunctions = std::to_array<Entry>({
      {"source", source},
      {"scan", scan},
      {"refill", refill},
      {"closeSource", close_source},
      {"bytes", bytes},
      {"tokens", tokens},
      {"set", set},
      {"addMember", add_member},
      {"removeMember", remove_member},
      {"scanSet", scan_set},
      {"readMember", read_member},
      {"memberShape", member_shape},
      {"textShape", text_shape},
      {"closeSet", close_set},
      {"scanMember", scan_member},
      {"rows", rows},
      {"learnRow", learn_row},
      {"fillRows", fill_rows},
      {"mounts", mounts},
      {"setPaths", set_paths},
      {"runMounts", run_mounts},
      {"watch", watch},
      {"addWatch", add_watch},
      {"removeWatch", remove_watch},
      {"readWatch", read_watch},
      {"closeWatch", close_watch},
      {"encode", encode},
      {"deflate", deflate},
      {"merge", merge_pages_into},
      {"pageDeflater", page_deflater},
      {"gzipPage", gzip_page},
      {"viewBuild", view_build},
      {"viewBuildArm", view_build_arm},
      {"viewBuildDisarm", view_build_disarm},
      {"closeViewBuild", close_view_build},
      {"buildViews", build_views},
      {"replayLayout", replay_layout},
      {"replayArm", replay_arm},
      {"replayDrop", replay_drop},
      {"lane", set_lane},
      {"turn", turn},
      {"uname", uname_fields},
      {"threadCpuSeconds", thread_cpu},
      {"clock", clock_numbers},
      {"netlink", netlink},
      {"ethtool", ethtool},
      {"askDevice", ask_device},
      {"closeEthtool", close_ethtool},
      {"askFolder", ask_folder_call},
      {"perf", perf},
      {"addCounter", add_counter},
      {"readCounters", read_counters},
      {"closeCounters", close_counters},
      {"limitSendBuffers", limit_sending},
      {"lastAnswer", last_answer},
      {"tasks", tasks},
      {"countTasks", count_tasks},
      {"closeTasks", close_tasks},
      {"exitNow", exit_now},
      {"collectGarbage", collect_garbage_here},
      {"trimMemory", trim_memory_now},
  });
  for (const Entry& entry : kFunctions) {
    if (!add_function(env, exports, entry.name, entry.function)) return fail(env, "cannot export a function");
  }
  return exports;
}
