/* Cases of s2a serve as text: what stands behind it, what a client sends, and what comes of it. A
 * file tests/wire/cases/serve-*.txt has cases; what stands before the first one is a comment. The
 * lines of a case:
 *     == GOAL                 begins it: one sentence
 *     set KEY VALUE; ...      options of the server: serve_case.c has the list; "times N": the case
 *                             is run N times
 *     | A | B                 a row: the case is run for each, with $1 for A and $2 for B
 *     --- engine              the lines that follow, or the rest of this one, are the replay of an
 *                             engine that answers;
 *     --- judge               of one that judges in front of the server behind;
 *     --- upstream            or what that server says: a transcript of fake_server.h. Without
 *                             any of these it says an empty 200
 *     --- ask [STATUS] METHOD PATH [BODY]
 *                             a request whose answer has that status: 200 unless it is said, or
 *                             "any". Host, Content-Length and, for POST, a Content-Type of JSON are
 *                             added unless they are there
 *     with NAME: VALUE        a line of its head
 *     --- escaped ...         the same with the escapes of transcripts in the body
 *     --- soon ...            asked again until the answer is as expected, 10 s at most
 *     --- raw STATUS          a request byte for byte, in escapes; line ends are not sent
 *     expect NAME VERB TEXT   as in wire_case.h, of the request above it; and "holds": JSON that
 *                             must all be there. "$id" for TEXT is the X-Request-Id of the answer
 *
 * Names of an answer: head, body, whole (yes or no), closed (yes: by the server, within
 * ten seconds), ms (until it was there), field.NAME (of its head), json.PATH; and of a stream of
 * events: events (how many), events.PATH (events.0.id), last.PATH (of the last event), every.PATH
 * (what all have in common), with.PATH (how many have it), joined.PATH (the texts one after the
 * other), done (whether [DONE] is the end), odd (how many are no JSON: none, unless it is asked
 * for). A string is its text; all else is compact JSON; PATH.# is a length.
 * Names of what reached the server behind: requests, requestN, requestN.body, requestN.field.NAME,
 * requestN.json.PATH, requestN.continues (yes: its body is that of the request before with more
 * messages at the end). log.PATH is of the first line of the log ("set log yes"). */
#ifndef S2A_TESTS_SERVE_CASE_H
#define S2A_TESTS_SERVE_CASE_H

/* Runs the cases whose file's name or goal has the part (NULL = all); the number of those that
 * failed, each with its reasons on stderr. */
int serve_case_run_all(const char *part);

#endif
