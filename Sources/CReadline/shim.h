// GNU Readline, with static inline accessors for the C globals that strict concurrency does not let Swift touch.
#pragma once

#include <stdio.h>
#include <readline/readline.h>
#include <readline/history.h>

/// Sets Readline up once: talk goes to standard error, signals are the caller's, words end at spaces and commas.
static inline void latchkey_readline_set_up(rl_completion_func_t *complete) {
    rl_readline_name = "latchkey";
    rl_instream = stdin;
    rl_outstream = stderr;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_completer_word_break_characters = (char *)" \t\n,";
    rl_attempted_completion_function = complete;
    using_history();
}

/// Keeps Readline from completing file names where nothing else matches.
static inline void latchkey_readline_completes_alone(void) {
    rl_attempted_completion_over = 1;
}

/// The line as typed so far; Readline's own memory.
static inline const char *latchkey_readline_line(void) {
    return rl_line_buffer ? rl_line_buffer : "";
}

/// Whether keys that were pushed back or come from a macro wait, which poll(2) cannot see.
static inline int latchkey_readline_has_pending_input(void) {
    return rl_pending_input != 0 || RL_ISSTATE(RL_STATE_MACROINPUT) != 0;
}

/// Puts the cursor behind what is typed, so that something can be written there.
static inline void latchkey_readline_go_to_end(void) {
    rl_point = rl_end;
    rl_redisplay();
}

/// Gives the terminal back as it was before Readline took it, to stop the process for example.
static inline void latchkey_readline_release_terminal(void) {
    if (rl_deprep_term_function) rl_deprep_term_function();
}

/// Takes the terminal again and draws the line again.
static inline void latchkey_readline_retake_terminal(void) {
    if (rl_prep_term_function) rl_prep_term_function(1);
    rl_resize_terminal();
    rl_forced_update_display();
}
