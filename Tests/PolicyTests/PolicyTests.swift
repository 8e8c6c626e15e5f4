// PolicyTests
