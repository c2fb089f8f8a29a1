//! Law 9: the incarnation stays while nothing can have been lost.

use crate::{build::*, subject::Subject};

pub(crate) async fn the_incarnation_stays_while_nothing_is_lost(mut subject: impl Subject) {
    let before = subject.store().incarnation(HERE).await.unwrap();
    assert!(before.len() <= 64);
    for value in ["1", "2", "3"] {
        written(&*subject.store(), vec![put("k", value)]).await;
        assert_eq!(subject.store().incarnation(HERE).await.unwrap(), before);
    }
    subject.pass(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(subject.store().incarnation(HERE).await.unwrap(), before);
    if !subject.restart().await {
        return;
    }
    let after = subject.store().incarnation(HERE).await.unwrap();
    assert!(after != before || record(&*subject.store(), "k").await.unwrap().value == b("3"));
}
