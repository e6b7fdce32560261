//! What flows keep under keys.

use super::*;

const QUOTA: Quota = Quota { keys_max: 3, bytes_max: 100, key_bytes_max: 10, value_bytes_max: 50 };

fn bucket(flow: FlowId, name: &str) -> Bucket {
    Bucket { flow, name: name.to_owned() }
}

async fn set(store: &Store, bucket: &Bucket, key: &str, value: &str) -> std::result::Result<(), Refusal> {
    let pairs = [(key.to_owned(), value.as_bytes().to_vec())].into();
    store.keyvalue_set(bucket.clone(), pairs, QUOTA, NOW).await.unwrap()
}

async fn get(store: &Store, bucket: &Bucket, key: &str) -> Option<Value> {
    store.keyvalue_get(bucket.clone(), vec![key.to_owned()]).await.unwrap().unwrap().pop().unwrap()
}

async fn keys(store: &Store, bucket: &Bucket, after: After, limit: u32) -> Vec<Listed> {
    store.keyvalue_keys(bucket.clone(), after, limit).await.unwrap()
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|one| one.key.as_str()).collect()
}

#[tokio::test]
async fn a_flow_keeps_no_more_than_its_quota() {
    let House { store, flow, .. } = house().await;
    let (one, other) = (bucket(flow, "one"), bucket(flow, "other"));
    assert_eq!(set(&store, &one, "", "x").await, Err(Refusal::Key(10)));
    assert_eq!(set(&store, &one, "01234567890", "x").await, Err(Refusal::Key(10)));
    assert_eq!(set(&store, &one, "k", &"x".repeat(51)).await, Err(Refusal::Value(50)));
    set(&store, &one, "a", &"x".repeat(49)).await.unwrap();
    set(&store, &one, "b", &"x".repeat(48)).await.unwrap();
    assert_eq!(set(&store, &other, "c", "x").await, Err(Refusal::Bytes(100)), "all buckets count together");
    set(&store, &one, "b", "").await.unwrap();
    set(&store, &other, "c", "x").await.unwrap();
    assert_eq!(set(&store, &other, "d", "").await, Err(Refusal::Keys(3)));
    assert_eq!(set(&store, &other, "c", "y").await, Ok(()), "a key that is there may change");
    assert_eq!(store.keyvalue_delete(one.clone(), vec!["a".into(), "gone".into(), "b".into()]).await.unwrap(), 2);
    set(&store, &other, "d", &"x".repeat(50)).await.unwrap();

    let stranger = bucket(FlowId::at(7), "other");
    assert_eq!(get(&store, &stranger, "c").await, None);
    assert_eq!(set(&store, &stranger, "c", "z").await, Ok(()), "each flow has a quota of its own");
    assert_eq!(get(&store, &other, "c").await.unwrap().bytes, b"y");
    let buckets = store.keyvalue_buckets(flow, String::new(), 10).await.unwrap();
    assert_eq!(buckets, [("other".to_owned(), 2)]);
    store.flow_delete(flow, NOW).await.unwrap();
    assert_eq!(get(&store, &other, "c").await, None);
}

#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all() {
    let House { store, flow, .. } = house().await;
    let bucket = bucket(flow, "b");
    let pairs = |n: usize| (0..n).map(|n| (n.to_string(), vec![b'x'])).collect::<std::collections::BTreeMap<_, _>>();
    let refused = store.keyvalue_set(bucket.clone(), pairs(4), QUOTA, NOW).await.unwrap();
    assert_eq!(refused, Err(Refusal::Keys(3)));
    assert_eq!(keys(&store, &bucket, After::Key(String::new()), 10).await, []);
    store.keyvalue_set(bucket.clone(), pairs(3), QUOTA, NOW).await.unwrap().unwrap();
    let wanted = vec!["2".to_owned(), "9".to_owned(), "0".to_owned()];
    let got = store.keyvalue_get(bucket, wanted).await.unwrap().unwrap();
    assert_eq!(got.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_whatever_was_removed_meanwhile() {
    let House { store, flow, .. } = house().await;
    let bucket = bucket(flow, "b");
    for key in ["c", "a", "b"] {
        set(&store, &bucket, key, "x").await.unwrap();
    }
    let first = keys(&store, &bucket, After::Seq(0), 2).await;
    assert_eq!(names(&first), ["c", "a"]);
    store.keyvalue_delete(bucket.clone(), vec!["c".into(), "a".into()]).await.unwrap();
    let rest = keys(&store, &bucket, After::Seq(first[1].seq), 2).await;
    assert_eq!(names(&rest), ["b"]);
    // A place is not given twice, or a list would miss the second key that has it.
    store.keyvalue_delete(bucket.clone(), vec!["b".into()]).await.unwrap();
    set(&store, &bucket, "z", "x").await.unwrap();
    assert_eq!(names(&keys(&store, &bucket, After::Seq(rest[0].seq), 2).await), ["z"]);
    set(&store, &bucket, "d", "x").await.unwrap();
    assert_eq!(names(&keys(&store, &bucket, After::Key(String::new()), 10).await), ["d", "z"]);
    assert_eq!(names(&keys(&store, &bucket, After::Key("d".into()), 10).await), ["z"]);
}

#[tokio::test]
async fn a_number_is_counted_up_within_its_range() {
    let House { store, flow, .. } = house().await;
    let bucket = bucket(flow, "b");
    let add = async |key: &str, delta: i128| {
        let range = 0..=i128::from(u64::MAX);
        store.keyvalue_increment(bucket.clone(), key.to_owned(), delta, range, QUOTA, NOW).await.unwrap()
    };
    assert_eq!(add("n", 5).await, Ok(5));
    assert_eq!(add("n", u64::MAX.into()).await, Err(Refusal::OutOfRange("n".into())));
    assert_eq!(add("n", -6).await, Err(Refusal::OutOfRange("n".into())));
    assert_eq!(add("n", (u64::MAX - 5).into()).await, Ok(u64::MAX.into()));
    assert_eq!(get(&store, &bucket, "n").await.unwrap().bytes, u64::MAX.to_string().as_bytes());
    set(&store, &bucket, "text", "five").await.unwrap();
    assert_eq!(add("text", 1).await, Err(Refusal::NoNumber("text".into())));
    let sums = futures_util::future::join_all((0..20).map(|_| add("many", 1))).await;
    assert_eq!(sums.into_iter().map(|sum| sum.unwrap()).max(), Some(20), "none is lost");
}

#[tokio::test]
async fn a_value_is_swapped_only_as_long_as_it_is_the_same_one() {
    let House { store, flow, .. } = house().await;
    let bucket = bucket(flow, "b");
    let swap = async |expected: Option<Mark>, value: &str| {
        let value = value.as_bytes().to_vec();
        store.keyvalue_swap(bucket.clone(), "k".to_owned(), expected, value, QUOTA, NOW).await.unwrap()
    };
    swap(None, "one").await.unwrap();
    let first = get(&store, &bucket, "k").await.unwrap();
    assert_eq!(swap(None, "two").await, Err(Refusal::Changed(Some(first.clone()))));
    swap(Some(first.mark), "two").await.unwrap();
    assert!(matches!(swap(Some(first.mark), "three").await, Err(Refusal::Changed(Some(_)))));
    let second = get(&store, &bucket, "k").await.unwrap();
    store.keyvalue_delete(bucket.clone(), vec!["k".into()]).await.unwrap();
    assert_eq!(swap(Some(second.mark), "three").await, Err(Refusal::Changed(None)));
    set(&store, &bucket, "k", "one").await.unwrap();
    assert!(matches!(swap(Some(first.mark), "three").await, Err(Refusal::Changed(Some(_)))), "not the first one");
}
