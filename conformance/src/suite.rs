//! The list of all cases, and how it becomes tests.

/// Makes a module of tests, one for each case, that ask a [`Column`](crate::Column).
///
/// `suite!(native, MyColumn::new())` gives `native::second_answer_is_dropped` and all the others.
/// The column is made anew for each.
#[macro_export]
macro_rules! suite {
    ($name:ident, $column:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the column may be named by its whole path")]
            use super::*;

            #[test]
            fn what_it_lacks_is_declared() {
                $crate::check_declared(&$column, env!("CARGO_MANIFEST_DIR"));
            }

            $crate::__cases! { __tests ($column) }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($column:expr) $($module:ident { $($case:ident [$($need:ident)*];)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::ask($column, &[$($crate::Ability::$need),*], $crate::cases::$module::$case);
            }
        )*)*
    };
}

/// Every case, with what it needs.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($then:ident $args:tt) => {
        $crate::$then! { $args
            calls {
                an_answer_inside_dispatch_is_there_at_once [Inside];
                an_answer_may_come_later [Later];
                an_answer_may_come_from_another_call [Keeps OneInstance];
                an_answer_may_come_while_another_thread_waits [Keeps OneInstance];
                a_blocked_thread_gets_its_answer [Later Keeps OneInstance];
                now_does_not_wait [Keeps OneInstance];
                a_notified_plugin_sees_the_call [OneInstance];
                an_answer_to_a_notification_is_nobodys [];
                entries_are_called_by_number [Numbers];
                an_unknown_entry_is_refused [Inside];
                an_unknown_number_is_refused [Numbers Inside];
                a_refusal_reaches_every_kind_of_caller [Inside];
                a_refusal_reaches_whoever_waits [];
                an_answer_before_a_refusal_is_dropped [Inside];
                every_status_reaches_the_caller [];
                an_unknown_status_keeps_its_number [UnknownStatus];
                a_stream_end_on_a_call_is_a_fault [Keeps OneInstance];
                an_unreadable_script_is_refused [Inside];
            }
            payloads {
                payloads_of_every_size_come_back [];
                answers_of_every_size_come_later [Later];
                frames_of_every_size_arrive [];
                a_short_answer_after_a_long_one_is_short [];
                an_answer_up_to_the_limit_is_taken [];
                a_large_reply_becomes_a_vec [];
                kept_replies_keep_their_bytes [];
            }
            requests {
                a_request_without_headers_arrives_whole [];
                a_request_with_one_header_arrives_whole [];
                a_request_with_200_headers_arrives_whole [];
                empty_strings_arrive_empty [];
                strings_beyond_ascii_arrive_whole [];
                a_request_with_a_large_body_arrives_whole [];
                a_request_may_be_a_stream_or_a_notification [];
            }
            sids {
                second_answer_is_dropped [Keeps OneInstance];
                an_answer_after_the_caller_left_is_dropped [Keeps OneInstance];
                an_answer_to_an_unknown_sid_is_dropped [Keeps OneInstance];
                an_answer_to_another_plugins_call_is_dropped [Keeps OneInstance];
                a_late_answer_never_reaches_the_next_call [Keeps OneInstance];
                no_sid_comes_twice [];
                thousands_of_calls_are_open_at_once [Keeps OneInstance];
                of_racing_answers_one_is_taken [Threads];
                of_racing_answers_and_cancels_nothing_is_left [Later];
                many_callers_each_get_their_own_answer [Later];
            }
            streams {
                a_stream_may_be_empty [];
                a_stream_of_one_frame_has_one [];
                a_full_queue_takes_its_end [];
                the_end_may_carry_bytes_and_any_final_status [];
                ten_thousand_frames_arrive_in_order [Later Backpressure];
                a_slow_reader_holds_the_plugin_back [Later Backpressure];
                a_frame_too_many_ends_the_stream_after_what_was_queued [Inside];
                a_sender_that_asks_is_told_of_a_full_queue [Backpressure Inside];
                the_queue_is_bounded_in_bytes_too [Backpressure Inside];
                one_frame_fits_whatever_the_bound [];
                frames_after_the_end_are_dropped [OneInstance];
                a_status_that_is_no_frame_ends_the_stream [];
                an_unknown_status_ends_the_stream [UnknownStatus];
                a_frame_over_the_limit_ends_the_stream [];
                a_dropped_reader_is_told_to_the_plugin [CancelNotice Keeps OneInstance Inside];
                a_dropped_reader_stops_a_sender_that_asks [Later Backpressure];
                frames_for_a_dropped_reader_are_dropped [Keeps OneInstance];
                a_reader_may_leave_with_frames_unread [Inside];
                a_dropped_wait_for_a_frame_loses_nothing [Keeps OneInstance];
                a_stream_is_a_futures_stream [Keeps OneInstance];
                data_comes_back_and_closing_ends [Data Backpressure Keeps];
                data_meets_a_full_queue [Data Backpressure Keeps Inside];
                data_for_a_plugin_that_takes_none_is_refused [Data Keeps OneInstance Inside];
                data_after_the_end_is_refused [Data Inside];
                many_streams_at_once_keep_apart [Keeps OneInstance];
                many_readers_each_get_their_own_frames [Later Backpressure];
            }
            endings {
                a_deadline_ends_a_call [Keeps OneInstance];
                a_deadline_of_zero_is_for_waiting_only [Keeps];
                a_deadline_is_told_to_the_plugin [CancelNotice Keeps OneInstance];
                the_plugins_deadline_is_the_default [Keeps];
                a_deadline_ends_a_stream_that_nothing_comes_on [Keeps OneInstance];
                a_stream_within_its_deadline_goes_on [Later Backpressure];
                frames_before_a_deadline_are_read [Keeps];
                deadlines_end_calls_in_their_order [Keeps];
                a_call_without_a_deadline_waits [Later];
                an_abandoned_call_ends [];
                a_dropped_call_is_told_to_the_plugin [CancelNotice Keeps OneInstance Inside];
                a_dropped_answered_call_is_not_told [CancelNotice Keeps OneInstance Inside];
                a_call_may_be_dropped_at_every_await [Keeps OneInstance];
                a_stream_may_be_dropped_at_every_await [Keeps OneInstance Inside];
            }
            wakers {
                the_last_waker_is_woken_once [Keeps OneInstance];
                a_call_may_move_between_threads [Keeps OneInstance];
                a_waker_may_call_the_plugin [Keeps OneInstance];
                a_waker_that_panics_harms_nobody [Keeps OneInstance];
                a_waker_runs_outside_the_plugin [Hook Keeps OneInstance];
            }
            lifecycle {
                unloading_ends_open_calls [Keeps];
                unloading_keeps_what_was_queued [Keeps Inside];
                grace_lets_calls_end [Later Backpressure];
                grace_ends_when_nothing_is_open [];
                grace_that_runs_out_ends_the_rest [Keeps];
                an_unloaded_plugin_takes_nothing [];
                unloading_twice_is_an_error [];
                dropping_the_owner_unloads [Keeps];
                dropping_the_owner_ends_a_stream_that_is_read [Keeps];
                a_detached_plugin_stays [];
                shutdown_runs_once_at_the_end [Hook OneInstance];
                two_loads_are_two_plugins [OneInstance];
                a_reload_leaves_the_new_one_alone [Keeps OneInstance];
                callers_are_switched_over_without_a_gap [];
                an_old_load_cannot_answer_for_the_new_one [Keeps OneInstance];
                callers_race_an_unload_and_none_hangs [];
                unloading_from_inside_is_refused [Hook Keeps];
                a_thread_that_stays_inside_is_waited_for [Hook OneInstance Inside];
                an_answer_after_the_unload_is_dropped [Hook Threads Keeps OneInstance];
            }
            reentry {
                a_plugin_is_called_from_inside_itself [Hook Reentry];
                calls_nest [Hook Reentry];
                waiting_inside_is_refused [Hook Keeps];
                a_call_made_inside_is_awaited_outside [Hook Keeps OneInstance];
                an_inner_call_may_answer_an_open_one [Hook Keeps OneInstance];
                an_inner_call_may_answer_the_outer [Hook Reentry OneInstance];
                another_plugin_is_called_from_inside [Hook Inside];
            }
            state {
                state_lives_as_long_as_its_call [State];
                state_is_seen_between_calls_by_sid [State Keeps OneInstance];
                state_is_bounded [State];
                state_of_another_plugin_is_out_of_reach [State Keeps OneInstance];
                a_streams_state_ends_with_it [State Keeps OneInstance];
            }
            panics {
                a_panic_is_answered_with_its_message [];
                a_panic_after_a_pause_is_answered [Later];
                a_panic_ends_a_stream_after_its_frames [];
                a_panic_after_the_answer_changes_nothing [];
                a_panic_in_a_notification_harms_nobody [];
                after_a_panic_the_plugin_serves [];
                a_panic_keeps_the_plugins_memory [KeepsStateInPanic OneInstance];
                a_panic_leaves_other_calls_open [KeepsStateInPanic Keeps OneInstance];
                a_panic_never_leaves_another_call_hanging [Keeps OneInstance];
            }
            counters {
                counters_add_up_over_a_mixed_run [Keeps Inside];
                bytes_and_frames_are_counted [];
                each_plugin_counts_its_own [];
                counts_add_up_over_threads [];
            }
        }
    };
}

/// Every case by its file, for the test that looks for cases that are missing from the list.
#[cfg(test)]
#[macro_export]
macro_rules! __names {
    (() $($module:ident { $($case:ident $needs:tt;)* })*) => {
        [$((
            include_str!(concat!("cases/", stringify!($module), ".rs")),
            vec![$((stringify!($case), stringify!($needs))),*],
        )),*]
    };
}

#[cfg(test)]
mod tests {
    /// The cases that are written in a file, each with its text.
    fn written(source: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        source
            .split("\npub fn ")
            .filter_map(|text| Some((text.split_once("(ground: &Ground)")?.0, text)))
    }

    /// A case that is written and not listed would never be asked.
    #[test]
    fn every_case_that_is_written_is_listed() {
        for (source, listed) in crate::__cases!(__names()) {
            let written: Vec<_> = written(source).map(|(name, _)| name).collect();
            let listed: Vec<_> = listed.into_iter().map(|(name, _)| name).collect();
            assert_eq!(written, listed);
        }
    }

    /// Where nothing can keep a call open, such a case has nothing to ask.
    #[test]
    fn every_case_that_keeps_calls_open_says_so() {
        for (source, listed) in crate::__cases!(__names()) {
            for ((name, text), (_, needs)) in written(source).zip(listed) {
                let keeps = text.contains(".keep()");
                assert_eq!(
                    keeps,
                    needs.split(['[', ' ', ']']).any(|need| need == "Keeps"),
                    "{name} needs {needs}"
                );
            }
        }
    }
}
