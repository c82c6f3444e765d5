//! What the cache counts, layer by layer, and what it says of its link.

use aquifer::{Cache, CacheOptions, Error, MetricsCollector};
use aquifer_testkit::Redis as Server;
use tokio::sync::oneshot;

use super::{Loader, config, end, load, name, until_in_doubt, until_linked, until_name, user};

/// A cache with figures of its own.
async fn counted(server: &Server) -> (Cache, MetricsCollector) {
    let metrics = MetricsCollector::new();
    let config = config(&server.url()).metrics(&metrics);
    let cache = Cache::connect(&config).await.unwrap();
    until_linked(&cache).await;
    (cache, metrics)
}

fn value(metrics: &MetricsCollector, name: &str) -> Option<f64> {
    metrics.metric(name).and_then(|metric| metric.value())
}

/// A load during which its key is changed.
async fn load_what_is_changed_meanwhile(cache: &Cache) {
    let (open, gate) = oneshot::channel::<()>();
    let (begun, has_begun) = oneshot::channel::<()>();
    let loading = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async move {
                begun.send(()).unwrap();
                gate.await.unwrap();
                Ok::<_, Error>(user(1, "old"))
            };
            cache.get_or_load("held", load).await.unwrap()
        }
    });
    has_begun.await.unwrap();
    cache.delete(["held"]).await.unwrap();
    open.send(()).unwrap();
    assert_eq!(loading.await.unwrap().name, "old");
}

#[tokio::test]
async fn each_layer_counts_what_it_finds() {
    let server = Server::start();
    let ((one, of_one), (two, of_two)) = (counted(&server).await, counted(&server).await);
    let loader = Loader::default();
    // The stamps of all, so that what makes them is not heard later.
    one.set("first", &user(1, "Ann")).await.unwrap();
    until_name(&two, "first", Some("Ann"), &[None]).await;
    of_one.reset();
    of_two.reset();

    load(&one, "a", &loader, "John").await;
    let found = ["loads", "fills", "misses", "dead_on_arrival", "bumps"]
        .map(|name| value(&of_one, &format!("cache.{name}")).unwrap());
    assert_eq!(found, [1.0, 1.0, 1.0, 0.0, 0.0]);
    for _ in 0..3 {
        load(&one, "a", &loader, "Jane").await;
    }
    assert_eq!(value(&of_one, "cache.hits.local"), Some(3.0));
    assert_eq!(name(&two, "a").await.as_deref(), Some("John"));
    assert_eq!(value(&of_two, "cache.hits.remote"), Some(1.0));
    assert_eq!(value(&of_two, "cache.loads"), Some(0.0));

    let tagged = CacheOptions::new().tag("users");
    one.set_with("b", &user(2, "Bob"), &tagged).await.unwrap();
    one.invalidate(["users"]).await.unwrap();
    assert_eq!(value(&of_one, "cache.bumps"), Some(2.0));
    assert_eq!(name(&two, "b").await, None);
    assert_eq!(value(&of_two, "cache.stale"), Some(1.0));

    load_what_is_changed_meanwhile(&one).await;
    assert_eq!(value(&of_one, "cache.dead_on_arrival"), Some(1.0));
    assert_eq!(value(&of_one, "cache.fills"), Some(2.0));
    assert_eq!(value(&of_two, "cache.dead_on_arrival"), Some(0.0));
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn the_link_is_a_figure_as_long_as_the_cache_is_there() {
    let server = Server::start();
    let (cache, metrics) = counted(&server).await;
    cache.set("a", &user(1, "Ann")).await.unwrap();
    assert_eq!(name(&cache, "a").await.as_deref(), Some("Ann"));
    assert!(cache.status().verified_age.is_some());
    let (linked, age) = ("cache.linked", "cache.verified.age");
    assert_eq!(value(&metrics, linked), Some(1.0));
    assert!(value(&metrics, age).is_some());
    assert_eq!(value(&metrics, "cache.values"), Some(1.0));
    assert!(value(&metrics, "cache.bytes") > Some(0.0));
    let page = metrics.prometheus();
    for line in [
        "aquifer_cache_linked{namespace=\"aquifer\"} 1\n",
        "aquifer_cache_values{namespace=\"aquifer\"} 1\n",
        "aquifer_cache_verified_age_seconds{namespace=\"aquifer\"} ",
    ] {
        assert!(page.contains(line), "{line} is not in:\n{page}");
    }
    server.kill();
    until_in_doubt(&cache).await;
    assert_eq!(value(&metrics, linked), Some(0.0));
    drop(cache);
    super::super::support::until("it is gone", || value(&metrics, linked).is_none()).await;

    // Without others there is nothing to be told of.
    let config = aquifer::Config::new().metrics(&metrics);
    let cache = Cache::in_process(&config).unwrap();
    assert_eq!(value(&metrics, linked), None);
    assert_eq!(value(&metrics, age), None);
    assert_eq!(cache.status().verified_age, None);
    assert_eq!(value(&metrics, "cache.values"), Some(0.0));
}
