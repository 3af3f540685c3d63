// Compresses pages whose text stays while their numbers move.
//
// Looking for repetitions is what compressing costs, and the text between the numbers of a page repeats in the same way in
// each cycle. So the search is made once: what it found is kept as a list of tokens (bits of literals, copies of earlier
// text), together with the Huffman codes. From then on a page costs a check that its text is still the same, and the codes of
// its digits. Copies name their source by piece of text, since distances change when numbers get longer.
//
// Lines come and go: a state that no process is in has none. Pieces that are missing from a page are passed over, copies of them
// are spelt out, and a few pieces that are new are added to those that were learnt.
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
  // neither much like the one learnt nor that of the page before: learning costs ten times what plain deflate does, which a
  // text that is another one in each cycle does not pay back.
  [[nodiscard]] std::optional<GzipResult> gzip(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output);

  // As gzip, of a page whose text is much like the one learnt; nothing for any other, which is not remembered.
  [[nodiscard]] std::optional<GzipResult> gzip_known(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) noexcept;

  [[nodiscard]] static size_t bound(size_t page_bytes) noexcept { return page_bytes * 2 + 1024; }

 private:
  // A piece of text between two numbers. The number (or the hole) follows it.
  struct Piece {
    uint64_t hash;
    uint32_t at;
    uint32_t length;
    uint32_t number_length;
    bool is_before_hole;
    // The last page that had it, by `page_number_`; where it stood there is said above.
    uint64_t page;
    uint32_t tokens_begin;
    uint32_t tokens_end;

    [[nodiscard]] bool is_like(const Piece& other) const noexcept {
      return hash == other.hash && length == other.length && is_before_hole == other.is_before_hole;
    }
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
    uint32_t own_length;
  };
  static constexpr uint32_t kNoCopy = 0xffffffffU;

  struct Code {
    uint16_t bits = 0;
    uint8_t length = 0;
  };

  // Where earlier text is the same; none when its length is 0.
  struct Copy {
    size_t length = 0;
    size_t piece = 0;
    size_t offset = 0;
    size_t distance = 0;
  };
  // A copy, or a byte that stands for itself.
  struct Found {
    size_t at;
    Copy copy;
  };
  static constexpr size_t kLiterals = 286;
  static constexpr size_t kDistances = 30;
  struct Counts {
    std::array<uint32_t, kLiterals> literals{};
    std::array<uint32_t, kDistances> distances{};
  };

  class BitWriter;
  class Finder;

  // Whether the page seen has the pieces learnt, but for some that are missing and a few new ones, which are added.
  [[nodiscard]] bool is_known(std::span<const uint8_t> page);
  // Where in `order_` from `from` on the piece stands; nothing when it is not near.
  [[nodiscard]] std::optional<size_t> position_of(const Piece& piece, size_t from) const noexcept;
  // Adds a piece at a place in `order_`; `before` is what precedes it in the page. False when it cannot be told in the codes.
  [[nodiscard]] bool add(std::span<const uint8_t> page, size_t position, const Piece& piece, const Piece* before, uint32_t before_id);
  // Tokens at the end of `tokens_`: of a text that is told by what it shares with another, copies, and literals.
  [[nodiscard]] bool add_beside(std::span<const uint8_t> text, std::span<const uint8_t> other, uint32_t other_id);
  void add_copy(size_t length, uint32_t source_piece, size_t source_offset, size_t own_offset);
  [[nodiscard]] bool add_literals(std::span<const uint8_t> text);
  // Whether the page before was the same text; asked of a text that is not known.
  [[nodiscard]] bool is_second() noexcept;
  static void cut(std::span<const uint8_t> page, PageHole hole, std::vector<Piece>& pieces);
  void learn(std::span<const uint8_t> page);
  // What learning a page consists of: copies by piece (`ends` says where each piece's end), how often each symbol is needed,
  // the codes told, and the tokens.
  [[nodiscard]] std::vector<Found> search(std::span<const uint8_t> page, std::vector<size_t>& ends) const;
  [[nodiscard]] Counts count(std::span<const uint8_t> page, std::span<const Found> found) const;
  void write_header(std::span<const uint8_t> literal_lengths, std::span<const uint8_t> distance_lengths);
  void keep(std::span<const uint8_t> page, std::span<const Found> found, std::span<const size_t> ends);
  // How far before `own` the text of a copy stands; more than deflate allows when it is missing from the page.
  [[nodiscard]] size_t distance_of(std::span<const uint8_t> page, const Token& copy, size_t own, const Piece* before) const noexcept;
  [[nodiscard]] bool write(std::span<const uint8_t> page, PageHole hole, BitWriter& out, size_t& hole_at) noexcept;
  // No code: a number has a byte that nothing had before. full: too little room.
  enum class Printed : uint8_t { ok, no_code, full };
  // The whole gzip form of a page whose pieces are known.
  [[nodiscard]] Printed print(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output, GzipResult& result) noexcept;

  // Pieces learnt and added since, by the number that tokens name them by, and these numbers in page order.
  std::vector<Piece> pieces_;
  std::vector<uint32_t> order_;
  size_t learnt_ = 0;
  std::vector<Piece> seen_;
  // Numbers of the pieces of the page under way, in page order.
  std::vector<uint32_t> present_;
  uint64_t page_number_ = 0;
  // Pages since the last learning.
  uint32_t served_ = 0;
  uint64_t last_text_ = 0;
  std::vector<Token> tokens_;
  std::array<Code, 288> literals_{};
  std::array<Code, kDistances> distances_{};
  // The codes as they stand at the start of a block, bits in bytes.
  std::vector<uint8_t> header_;
  size_t header_bits_ = 0;
};

// CRC-32 of gzip.
[[nodiscard]] uint32_t crc32_of(std::span<const uint8_t> bytes) noexcept;

}  // namespace readers
