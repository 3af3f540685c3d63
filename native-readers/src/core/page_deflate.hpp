// Compresses pages whose text stays while their numbers move.
//
// Looking for repetitions is what compressing costs, and the text between the numbers of a page repeats in the same way in
// each cycle. So the search is made once: what it found is kept as a list of tokens (bits of literals, copies of earlier
// text), together with the Huffman codes. From then on a page costs a check that its text is still the same, and the codes of
// its digits. Copies name their source by piece of text, since distances change when numbers get longer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace readers {

// A page whose bytes [at, at + length) are to be replaceable in the compressed form.
struct PageHole {
  static constexpr size_t kNone = SIZE_MAX;
  size_t at = kNone;
  size_t length = 0;
};

struct GzipResult {
  size_t bytes;
  // Where the hole's bytes stand, as they are; PageHole::kNone without a hole.
  size_t hole_at;
  // CRC-32 of the page.
  uint32_t crc;
};

class PageDeflater {
 public:
  // The gzip form (RFC 1952) of a page. Nothing when `output` is too small (`bound` is always enough), and when the text is
  // neither the one learnt nor that of the page before: learning costs ten times what plain deflate does, which a text
  // that changes in each cycle does not pay back.
  [[nodiscard]] std::optional<GzipResult> gzip(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output);

  // As gzip, of a page whose text is the one learnt; nothing for any other, which is not remembered.
  [[nodiscard]] std::optional<GzipResult> gzip_known(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) noexcept;

  [[nodiscard]] static size_t bound(size_t page_bytes) noexcept { return page_bytes * 2 + 1024; }

 private:
  // A piece of text between two numbers, in page order. The number (or the hole) follows it.
  struct Piece {
    uint64_t hash;
    uint32_t at;
    uint32_t length;
    uint32_t number_length;
    // Its tokens end here.
    uint32_t tokens_end;
    bool is_before_hole;
  };

  // Bits of literals, or of the length of a copy whose distance follows.
  struct Token {
    uint64_t bits;
    uint32_t bit_count;
    // Piece that the copy comes from, or kNoCopy.
    uint32_t source_piece;
    // Where in the source piece it begins, and where in its own.
    uint32_t source_offset;
    uint32_t own_offset;
  };
  static constexpr uint32_t kNoCopy = 0xffffffffU;

  struct Code {
    uint16_t bits = 0;
    uint8_t length = 0;
  };

  class BitWriter;
  class Finder;

  [[nodiscard]] bool is_known() noexcept;
  // Whether the page before was the same text; asked of a text that is not known.
  [[nodiscard]] bool is_second() noexcept;
  static void cut(std::span<const uint8_t> page, PageHole hole, std::vector<Piece>& pieces);
  void learn(std::span<const uint8_t> page);
  [[nodiscard]] bool write(std::span<const uint8_t> page, PageHole hole, BitWriter& out, size_t& hole_at) noexcept;
  // out_of_reach: a copy's source is too far away by now, or a number has a byte that none had. full: too little room.
  enum class Printed : uint8_t { ok, out_of_reach, full };
  // The whole gzip form of a page whose pieces are known.
  [[nodiscard]] Printed print(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output, GzipResult& result) noexcept;

  std::vector<Piece> pieces_;
  std::vector<Piece> seen_;
  uint64_t last_text_ = 0;
  std::vector<Token> tokens_;
  std::array<Code, 288> literals_{};
  std::array<Code, 30> distances_{};
  // The codes as they stand at the start of a block, bits in bytes.
  std::vector<uint8_t> header_;
  size_t header_bits_ = 0;
};

// CRC-32 of gzip.
[[nodiscard]] uint32_t crc32_of(std::span<const uint8_t> bytes) noexcept;

}  // namespace readers
