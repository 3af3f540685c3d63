// Builds of pages that need no JavaScript: as long as the families of all channels of a view stay where they are, a build
// copies the same stretches, compresses a text that is known and publishes. src/views/builder.ts, which works all of this
// out and is the oracle, arms a view; the lane whose batch moved its channels builds it, so that no second thread wakes.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/page_deflate.hpp"
#include "readers/merge.hpp"

namespace readers {

// Where the shared words of a channel and of a view lie. src/collect/channel.ts and src/views/view.ts own both layouts and
// hand them over, in this order.
struct BuildLayout {
  // Int32 words of a channel; per buffer: shapes, printed.
  int32_t active, sequence, fallback, shapes, printed;
  // Float64 words of a channel; per buffer: page_started.
  int32_t page_started, max_age;
  // Int32 words of a view, the last two: where the generations begin and how many words each has.
  int32_t current, want_gzip, builds, generations, generation_words;
  // Int32 words of a generation.
  int32_t pins, bytes, time_at, gzip_bytes, gzip_time_at, series, crc;
  // Float64 words of a view; built per generation, oldest per generation and role.
  int32_t used, build_seconds, version, built, oldest;
};
inline constexpr size_t kBuildLayoutWords = sizeof(BuildLayout) / sizeof(int32_t);
inline constexpr size_t kGenerations = 4;

// A channel's part in a view.
struct BuildEntry {
  std::span<int32_t> words;
  std::span<double> floats;
  uint32_t variant = 0;
  // For the age of its data; -1 for none.
  int32_t role = -1;
  // What it showed when the order was made: the shape of its sheet, kFallbackShape or kNoShape.
  int32_t shape = 0;
  // Two buffers and the fallback.
  std::array<MergePage, 3> pages;
};
// The numbers of src/views/merge.ts.
inline constexpr int32_t kFallbackShape = -1;
inline constexpr int32_t kNoShape = -2;

// How the pages of a view are made as long as no shape changes. All memory is the caller's, who keeps it alive.
struct BuildPlan {
  std::vector<BuildEntry> entries;
  // As merge_pages wants them.
  std::vector<int32_t> order;
  std::vector<uint8_t> kinds;
  // Families that had no samples when the order was made, as entry and family.
  std::vector<int32_t> missing;
  std::array<std::span<uint8_t>, kGenerations> pages;
  std::array<std::span<uint8_t>, kGenerations> gzips;
  // Null: nobody has asked for gzip.
  PageDeflater* deflater = nullptr;
};

enum class BuildState : uint8_t {
  // A new page is current.
  built,
  // Nothing has moved, or nobody looks at the view.
  unneeded,
  // For the builder: not armed, or something has changed that the plan does not know.
  left,
};

class ViewBuild {
 public:
  // `words` and `floats`: the head of the view, for `roles` roles. A view that was not asked for in `idle_ms` is not built.
  ViewBuild(const BuildLayout& layout, std::span<int32_t> words, std::span<double> floats, uint32_t roles, double idle_ms) noexcept
      : layout_(layout), words_(words), floats_(floats), roles_(roles), idle_ms_(idle_ms) {}

  // True when the words of the layout lie within the view's head.
  [[nodiscard]] bool is_sound() const noexcept;
  // False for a plan whose indexes do not lie within their arrays.
  [[nodiscard]] bool arm(BuildPlan plan);
  void disarm() noexcept { plan_.reset(); }
  [[nodiscard]] BuildState perform() noexcept;

 private:
  [[nodiscard]] bool is_sound(const BuildPlan& plan) const noexcept;
  [[nodiscard]] size_t word_of(size_t generation, int32_t word) const noexcept;
  // A generation that is neither current nor pinned; kGenerations when all are.
  [[nodiscard]] size_t free_generation() const noexcept;
  // Sum of the sequences of all channels: unchanged means that a build would give the same page.
  [[nodiscard]] double version() const noexcept;
  [[nodiscard]] bool choose(double now_ms) noexcept;
  [[nodiscard]] bool choose_entry(size_t at, double now_ms) noexcept;
  [[nodiscard]] bool has_missing_appeared() const noexcept;
  [[nodiscard]] std::optional<MergeResult> merge(std::span<uint8_t> target, double now_ms) noexcept;
  void publish(size_t generation, const MergeResult& merged, const GzipResult& gzip, double started_ms) noexcept;

  BuildLayout layout_;
  std::span<int32_t> words_;
  std::span<double> floats_;
  uint32_t roles_;
  double idle_ms_;
  std::optional<BuildPlan> plan_;
  // Of the merge under way: what each entry shows, its sequence before that was looked up, the oldest run of each role.
  std::vector<MergePage> shown_;
  std::vector<int32_t> sequences_;
  std::vector<double> oldest_;
};

// The views of all builders of the process. A lane builds those of the builder whose bell it would ring otherwise.
class ViewBuilds {
 public:
  static ViewBuilds& process() noexcept;

  void enter(const void* bell, ViewBuild& build);
  void leave(ViewBuild& build) noexcept;
  [[nodiscard]] bool arm(ViewBuild& build, BuildPlan plan);
  // Waits for a build that is under way: from then on the caller alone fills generations.
  void disarm(ViewBuild& build) noexcept;
  // Builds what has moved. False when something was left for the builder.
  [[nodiscard]] bool perform(const void* bell) noexcept;

 private:
  struct Entry {
    const void* bell;
    ViewBuild* build;
  };
  // Held while a page is built: two lanes do not fill the same generation.
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace readers
