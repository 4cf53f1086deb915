//! What is no finding: losses that nobody could have prevented, and where they end.

use super::*;

#[test]
fn a_loss_is_excused_when_every_member_has_lost_its_page_cache_and_only_then() {
    for everybody in [true, false] {
        let (mut stage, mut log) = Stage::with_five(false);
        log.flushed = Some(2);
        for node in [A, B, C] {
            let mut own = log.clone();
            stage.see(node, 1, node == A, &own, 5).expect("not flushed");
            if everybody || node != C {
                stage.cut_power(node, &mut own, 3).expect("not flushed");
            }
        }
        let short = ListLog { batches: log.batches[..3].to_vec(), flushed: None };
        let outcome = stage.lead(B, 2, &short, 3);
        assert_eq!(broken(outcome), (!everybody).then_some(Broken::Lost));
        if everybody {
            assert_eq!(stage.checker.committed_end(&name()), Offset(3));
            assert_eq!(stage.checker.checks().losses_excused, 1);
            // And from here on nothing more.
            stage.decide(2, &[B, A, C], &[]).expect("in sync again");
            assert_eq!(broken(stage.lead(A, 3, &ListLog::with(0..2, 1), 2)), Some(Broken::Lost));
        }
    }
}

/// A led, and goes on in the dark; B and C lost the last two of five. B leads next.
fn after_a_loss() -> (Stage, ListLog, ListLog) {
    let (mut stage, mut log) = Stage::with_five(false);
    log.flushed = Some(2);
    for node in [B, C] {
        let mut own = log.clone();
        stage.follow(node, 1, &own, 5).expect("not flushed");
        stage.cut_power(node, &mut own, 3).expect("not flushed");
    }
    stage.decide(2, &[B, C], &[]).expect("A is fenced");
    let mut next = ListLog { batches: log.batches[..3].to_vec(), flushed: None };
    next.append(id(3, 1), 2);
    stage.lead(B, 2, &next, 3).expect("excused");
    assert_eq!(stage.checker.checks().losses_excused, 1);
    (stage, log, next)
}

#[test]
fn whoever_has_not_heard_of_an_excused_loss_goes_on_with_what_was_lost() {
    let (mut stage, old, next) = after_a_loss();
    stage.lead(B, 2, &next, 4).expect("commits");
    let mut ahead = old.clone();
    ahead.append(id(1, 5), 1);
    stage.lead(A, 1, &ahead, 6).expect("its last followers had asked for more");
    assert_eq!(stage.checker.committed_end(&name()), Offset(4), "no reign of before the loss says what is committed");
    stage.checker.handle_acked(A, &name(), id(1, 5), Offset(5)).expect("lost since");
    stage.checker.handle_served(A, &name(), &old.batches[4].clone().into()).expect("lost since");
    stage.checker.check_all_acked().expect("what was lost is none of it");
    assert_eq!(
        broken(stage.checker.handle_served(B, &name(), &old.batches[4].clone().into())),
        Some(Broken::ReadUncommitted)
    );
}

#[test]
fn who_is_back_in_sync_after_an_excused_loss_has_nothing_of_it_any_more() {
    for (isr, expected) in [(&[B, C][..], None), (&[A, B], Some(Broken::Lost))] {
        let (mut stage, old, next) = after_a_loss();
        stage.decide(2, isr, &[]).expect("caught up");
        stage.lead(B, 2, &next, 4).expect("commits");
        assert_eq!(broken(stage.follow(A, 2, &old, 5)), expected);
    }
}

#[test]
fn a_loss_of_one_is_excused_when_the_others_were_not_closed_in_order_either() {
    for (all_restarted, expected) in [(true, None), (false, Some(Broken::Lost))] {
        let (mut stage, mut log) = Stage::with_five(false);
        log.flushed = Some(2);
        let mut own = log.clone();
        stage.follow(B, 1, &own, 5).expect("not flushed");
        stage.cut_power(B, &mut own, 3).expect("not flushed");
        stage.checker.handle_kill(A);
        if all_restarted {
            stage.checker.handle_kill(C);
        }
        assert_eq!(broken(stage.lead(B, 2, &own, 3)), expected);
    }
}

#[test]
fn kills_alone_excuse_nothing() {
    let (mut stage, log) = Stage::with_five(false);
    [A, B, C].into_iter().for_each(|node| stage.checker.handle_kill(node));
    let short = ListLog { batches: log.batches[..4].to_vec(), ..log };
    assert_eq!(broken(stage.lead(B, 2, &short, 4)), Some(Broken::Lost));
}

#[test]
fn a_replica_that_lost_its_page_cache_may_lag_until_it_is_in_sync_again() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.flushed = Some(2);
    let mut own = log.clone();
    stage.follow(B, 1, &own, 5).expect("not flushed");
    stage.cut_power(B, &mut own, 3).expect("not flushed");
    stage.follow(B, 1, &own, 3).expect("nobody has noticed yet");
    stage.register(B);
    stage.decide(1, &[A, C], &[]).expect("noticed");
    stage.follow(B, 1, &own, 3).expect("catching up");
    stage.decide(1, &[A, B, C], &[]).expect("in sync again");
    assert_eq!(broken(stage.follow(B, 1, &own, 3)), Some(Broken::Lost));
}

#[test]
fn a_replica_that_is_taken_in_for_what_its_last_life_had_may_lag_until_its_new_life_is_registered() {
    let (mut stage, mut log) = Stage::with_five(false);
    log.flushed = Some(2);
    let mut own = log.clone();
    stage.follow(B, 1, &own, 5).expect("not flushed");
    stage.decide(1, &[A, C], &[]).expect("lags");
    stage.cut_power(B, &mut own, 3).expect("not flushed");
    stage.decide(1, &[A, B, C], &[]).expect("was proposed before the power was cut");
    stage.follow(B, 1, &own, 3).expect("nobody has noticed yet");
    stage.register(B);
    stage.decide(1, &[A, C], &[]).expect("noticed");
    stage.decide(1, &[A, B, C], &[]).expect("in sync again");
    assert_eq!(broken(stage.follow(B, 1, &own, 3)), Some(Broken::Lost));
}

#[test]
fn a_node_that_loses_its_power_after_it_was_closed_in_order_has_no_wound() {
    for (in_order, expected) in [(true, Some(Broken::Lost)), (false, None)] {
        let (mut stage, mut log) = Stage::with_five(false);
        log.flushed = Some(2);
        let (mut own, mut closed) = (log.clone(), ListLog { flushed: None, ..log.clone() });
        stage.follow(B, 1, &own, 5).expect("not flushed");
        stage.follow(C, 1, &closed, 5).expect("flushed all");
        stage.decide(1, &[A, B], &[C]).expect("leaves");
        if in_order {
            stage.checker.handle_closed(C);
        }
        stage.cut_power(C, &mut closed, 5).expect("flushed all");
        stage.checker.handle_kill(A);
        stage.cut_power(B, &mut own, 3).expect("not flushed");
        assert_eq!(broken(stage.lead(B, 2, &own, 3)), expected);
    }
}
