"""Does the browser of the tests hear what goes wrong?"""


def test_a_page_without_faults_is_quiet(browser_page):
    browser_page.page.set_content("<p id=here>fine</p><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>")
    assert browser_page.page.inner_text("#here") == "fine"
    assert (browser_page.errors, browser_page.requests) == ([], [])


def test_errors_and_requests_are_heard(browser_page):
    browser_page.page.set_content("<script>console.error('a line')</script><script>undefined_name</script>")
    browser_page.page.evaluate("fetch('http://127.0.0.1:9/none').catch(() => 0)")
    assert browser_page.errors[0] == "a line"
    assert any("undefined_name is not defined" in line for line in browser_page.errors)
    assert browser_page.requests == ["http://127.0.0.1:9/none"]
