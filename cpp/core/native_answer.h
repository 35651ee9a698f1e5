// Answers that no worker gives: by the I/O thread that read the request, or to requests that have
// waited for a worker in vain.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "core/exchange.h"
#include "http/refusal.h"

namespace prowingen {

/// What there is only to be looked at.
inline constexpr Refusal only_get{405, "Method Not Allowed", "it is to be asked for by GET", ""};

/// In place of the queue and a worker. False: the client has left. The I/O thread that read it.
bool take_at_once(Exchange& exchange, SteadyTime now = std::chrono::steady_clock::now());

/// Sends the head in `exchange.response`, framed as `exchange.response_body` says, and all of its
/// content, unless that is none of this answer: of HEAD's, say. For an exchange that was taken.
void send_content(Exchange& exchange, std::span<Chunk> content);
/// The same of one piece, as long as it is.
void send_text(Exchange& exchange, std::string text);

/// The head of an answer that says why a request is not served. `retry_after`: when its client may
/// ask again, where the status is one that says so.
ResponseHead refusal_head(const Refusal& refusal,
                          std::chrono::seconds retry_after = std::chrono::seconds(1));
/// Refuses one that was taken.
void send_refusal(Exchange& exchange, const Refusal& refusal,
                  std::chrono::seconds retry_after = std::chrono::seconds(1));

/// Any thread, for a queued exchange that nobody else will take. False: its client has left.
bool answer_natively(Exchange& exchange, const Refusal& refusal);

}  // namespace prowingen
