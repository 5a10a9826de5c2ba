// The limits of flynn.store/1 (plugin-api/interfaces/store.md) and of this provider, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace flynn::store {

inline constexpr std::size_t kKeyBytesMax = 512;
inline constexpr std::size_t kValueBytesMax = 1u << 20;
inline constexpr std::size_t kTxnOperationsMax = 128;
/// All values of one transaction together: a line of a watch must stay readable in one piece.
inline constexpr std::size_t kTxnBytesMax = 8u << 20;
inline constexpr std::size_t kTxnDeletedKeysMax = 50'000;
inline constexpr std::int64_t kRangeKeysMax = 10'000;
/// A Range ends early (`more`) at this size, however many keys were asked for.
inline constexpr std::size_t kRangeBytesMax = 32u << 20;

inline constexpr std::int64_t kLeaseTtlMsMin = 1'000;
inline constexpr std::int64_t kLeaseTtlMsMax = 3'600'000;
inline constexpr std::size_t kLeasesMax = 100'000;

inline constexpr std::size_t kWatchersMax = 4'096;
/// A live reader whose unread lines exceed this is cut off.
inline constexpr std::size_t kWatchBehindBytesMax = 8u << 20;
/// A reader that is still catching up is given this much ahead of its reading.
inline constexpr std::size_t kWatchCatchUpBytes = 1u << 20;
inline constexpr std::chrono::milliseconds kWatchProgressEvery{5'000};

inline constexpr std::size_t kBatchRequestsMax = 512;
inline constexpr std::size_t kQueueRequestsMax = 16'384;
inline constexpr std::int64_t kHistoryRevisionsDefault = 100'000;
inline constexpr std::size_t kHistoryMemoryBytes = 32u << 20;
/// What stays in memory when every watch has it, for those that open again at a revision of a moment ago.
inline constexpr std::size_t kHistoryTailBytes = 64u << 10;

}  // namespace flynn::store
