// Figures that both engines keep to.
#pragma once

#include <chrono>
#include <cstddef>

namespace prowingen {

/// Answers that may wait for a sleeping I/O thread before it is woken: a wake-up costs two context
/// switches, an answer in a larger batch costs only the delay.
inline constexpr std::size_t mail_batch = 16;

/// How long an I/O thread lets requests gather. Short against what a client notices, long against a
/// request's arrival.
inline constexpr std::chrono::microseconds gather_time{250};

/// How long the input of a connection that is over is thrown away (RFC 9112 section 9.6).
inline constexpr std::chrono::milliseconds linger_time{2000};

/// What a drain leaves a connection that was used this lately, or not yet: its client may have a
/// request on its way.
inline constexpr std::chrono::milliseconds drain_grace{1000};

/// How long a client that has closed its side, and would take an answer, is waited for by an
/// application that makes none. Most that close their side have closed the other, too.
inline constexpr std::chrono::milliseconds half_closed_patience{1000};

/// Where something can be sent to such a client that says nothing, an interim answer, it is asked
/// after so long, and again so long after it took one: only one that is gone sends a reset back.
inline constexpr std::chrono::milliseconds half_closed_question{300};
inline constexpr std::chrono::seconds half_closed_again{5};

}  // namespace prowingen
